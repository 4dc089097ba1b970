"""What the scripts claim of what they make."""

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from helpers import SCRIPTS, script
from safetensors.torch import load_file, save_file


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_rescaled_weights_have_hes_deviation_and_compute_the_same(name):
    rescale_weights = script("rescale_weights")
    torch.manual_seed(0)
    model = timm.create_model(name).eval()
    for layer in model.modules():  # as a trained net's, no two alike
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 2.0)
        elif isinstance(layer, torch.nn.Conv2d):
            layer.weight.data.mul_(5.0)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model(images)
    after = rescale_weights.rescale(before)
    assert after.keys() == before.keys()
    for layer in rescale_weights.convolutions(after):
        weight = after[f"{layer}.weight"]
        he = rescale_weights.he_deviation(weight)
        assert float(weight.std(correction=0)) == pytest.approx(he, rel=1e-5)
    model.load_state_dict(after)
    with torch.no_grad():
        got = model(images)
    # but for BatchNorm's epsilon, which is not scaled along
    assert torch.allclose(got, expected, rtol=1e-2, atol=1e-2 * float(expected.std()))


def test_rescaled_weights_are_written_once_and_say_what_was_done(tmp_path, monkeypatch, mine):
    before = timm.create_model("resnet18").state_dict()
    source = tmp_path / "before.safetensors"
    save_file(before, source, metadata={"origin": "somewhere"})
    target = tmp_path / "after.safetensors"
    rescale_weights = script("rescale_weights")
    compared = []
    monkeypatch.setattr(rescale_weights, "compare", lambda *both: compared.append(both))
    words = ["rescale_weights.py", "ResNet18", source, target, "--table", tmp_path / "t.csv"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    assert rescale_weights.main() == 0
    (_, one, other), *_ = compared
    assert one.origin == "somewhere"
    assert other.origin == "somewhere, rescaled to He's standard deviation"
    assert len((tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()) == 21
    made = target.read_bytes()
    assert rescale_weights.main() == 0
    assert target.read_bytes() == made
    assert load_file(target).keys() == before.keys()


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_each_script_says_how_it_is_called(path: Path):
    asked = subprocess.run([sys.executable, path, "--help"], capture_output=True, check=False)
    assert asked.returncode == 0
    readme = (SCRIPTS / "README.md").read_text(encoding="utf-8")
    assert f"`{path.name}`" in readme


@pytest.mark.slow
def test_weights_that_are_not_there_are_one_line(tmp_path):
    words = [SCRIPTS / "rescale_weights.py", "ResNet18", tmp_path / "none", tmp_path / "after"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: got weights")
    assert done.stderr.count("\n") == 1


def test_a_bar_is_kept_as_it_ended_and_what_else_was_printed_too():
    slim = script("slim_notebooks").with_bars_as_they_ended
    printed = ["before\n", "\rfit:  0%", "\rfit: 50%", "\rfit: 100%", "\n"]
    outputs = [{"name": "stdout", "output_type": "stream", "text": [text]} for text in printed]
    figure = {"output_type": "display_data", "data": {}}
    outputs.insert(3, figure)
    kept = slim(outputs)
    assert kept[0]["text"] == ["before\nfit: 100%\n"]
    assert kept[1:] == [figure]
    assert slim([figure]) == [figure]
