"""No net's gradients depend on memory that nobody wrote."""

import os
import subprocess
import sys

import pytest
from helpers import script

from cifarlib.utils.files import PACKAGE

GRADIENTS = PACKAGE.parent / "scripts" / "gradients.py"
fills_memory = pytest.mark.skipif(
    sys.platform != "linux" or "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"),
    reason="another C library does not fill memory when asked",
)


def compared(*arguments: str) -> tuple[int, list[str]]:
    """Return the exit code of scripts/gradients.py, and its lines."""
    command = [sys.executable, str(GRADIENTS), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


@fills_memory
@pytest.mark.slow
def test_the_series_nets_have_the_same_gradients_however_memory_is_filled():
    code, lines = compared()
    assert (code, lines[-1]) == (0, "60 cases, 0 differ")
    # the EfficientNets have no stem for small images
    assert sum("has no ResNet-like stem" in line for line in lines) == 12
    assert sum("Error" in line for line in lines) == 12


UNWRITTEN = "import torch; print(torch.empty(10_000, dtype=torch.uint8).unique().tolist())"


@fills_memory
def test_new_memory_holds_what_it_is_said_to_be_filled_with():
    gradients = script("gradients")
    held = set()
    for filling in gradients.FILLINGS:
        environment = os.environ | {"MALLOC_PERTURB_": filling}
        command = [sys.executable, "-c", UNWRITTEN]
        held.add(subprocess.check_output(command, env=environment, text=True))
    assert len(held) == 2
    assert all(words.count(",") == 0 for words in held)  # one byte throughout


def test_a_net_whose_gradients_differ_is_said(monkeypatch, capsys):
    gradients = script("gradients")
    monkeypatch.setattr(gradients, "compare", lambda cases: [("a" * 64, "b" * 64)] * len(cases))
    monkeypatch.setattr(sys, "argv", ["gradients.py", "test_resnet", "--image-sizes", "8"])
    assert gradients.main() == 1
    said = capsys.readouterr().out.splitlines()
    assert "differ: aaaaaaaaaaaa and bbbbbbbbbbbb" in said[0]
    assert said[-1] == "4 cases, 4 differ"
