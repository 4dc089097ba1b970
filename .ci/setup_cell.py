"""Run the notebooks' set-up cell as Colab would: outside the clone, where torch is installed."""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

root = Path(__file__).resolve().parent.parent
notebook = json.loads((root / "notebooks/01_data_exploration.ipynb").read_text(encoding="utf-8"))
cell = next("".join(c["source"]) for c in notebook["cells"] if "CLONE_URL" in "".join(c["source"]))
check = """
import cifarlib, torch
assert cifarlib.__file__.startswith(str(found[0])), cifarlib.__file__
assert len(cifarlib.load_runs()) > 0
print("set-up cell: good, torch", torch.__version__)
"""


def frozen(python: str) -> list[str]:
    """Return what is installed for an interpreter, as name==version."""
    command = [python, "-m", "pip", "freeze"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


with tempfile.TemporaryDirectory() as folder:
    venv.create(Path(folder) / "venv", with_pip=True)
    python = str(next((Path(folder) / "venv").glob("[bS]*/python*")))
    torch = [
        name for name in frozen(sys.executable) if name.startswith(("torch==", "torchvision=="))
    ]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *torch], check=True)
    work = Path(folder) / "content"
    work.mkdir()
    surroundings = os.environ | {"CIFARLIB_CLONE_URL": root.as_uri()}
    subprocess.run([python, "-c", cell + check], check=True, cwd=work, env=surroundings)
    kept = frozen(python)
    assert set(torch) <= set(kept), "the set-up cell changed torch"
