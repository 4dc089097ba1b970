"""A net's weights come with the mean and std that they expect, and whatever normalises asks."""

import copy

import numpy as np
import pytest
import torch
from helpers import fixed_batches
from safetensors.torch import save_file
from torch import nn

from cifarlib import (
    choose_device,
    create_model,
    eval_transform,
    evaluate,
    frozen_features,
    grad_cam,
    load_published_model,
    normalization_of,
    predict,
    run,
)
from cifarlib.config import IMAGENET_MEAN, IMAGENET_STD
from cifarlib.models.weights import find_weights, pack_weights, read_weights

IMAGENETS = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
HALVES = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
OTHERS = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}


@pytest.fixture(scope="module")
def lite0() -> nn.Module:
    """EfficientNet_lite0 with ImageNet's weights, which expect a mean and std of 0.5."""
    return create_model("EfficientNet_lite0", pretrained=True)


def test_a_net_with_weights_knows_what_they_expect(lite0):
    assert normalization_of(lite0) == HALVES
    device = choose_device(lite0)
    assert (device.mean, device.std) == (HALVES["mean"], HALVES["std"])


def test_a_net_from_scratch_or_of_ones_own_keeps_imagenets():
    for model in (create_model("EfficientNet_lite0"), nn.Conv2d(3, 8, 3)):
        assert normalization_of(model) == IMAGENETS
        assert choose_device(model).mean == IMAGENET_MEAN


def test_the_net_that_comes_along_says_how_it_is_to_be_fed():
    assert normalization_of(load_published_model()) == HALVES


def test_a_copy_and_what_is_wrapped_around_a_net_know_it_too(lite0):
    assert normalization_of(copy.deepcopy(lite0)) == HALVES
    assert normalization_of(nn.Sequential(nn.Identity(), lite0)) == HALVES


def test_any_timm_net_goes_with_its_own_weights(tmp_path, monkeypatch):
    # timm's tag of a mean and std of 0.5
    name = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    save_file(create_model(name, 1000).state_dict(), tmp_path / f"{name}.safetensors")
    monkeypatch.setenv("CIFARLIB_WEIGHTS", str(tmp_path))
    assert normalization_of(create_model(name, pretrained=True)) == HALVES


def test_a_mean_that_is_named_comes_before_the_nets(lite0):
    device = choose_device(lite0, mean=OTHERS["mean"])
    assert (device.mean, device.std) == (OTHERS["mean"], HALVES["std"])


def test_bytes_and_floats_mean_the_same_to_whatever_looks_at_them(lite0, test):
    device = choose_device(lite0)
    device.place(lite0)
    to_tensor = eval_transform(32, **normalization_of(lite0))
    images = test[:6]
    as_bytes = fixed_batches(images)
    floats = torch.stack([to_tensor(image=image)["image"] for image in images.images])
    as_floats = [(floats, torch.as_tensor(images.labels))]
    tolerance = {"atol": 1e-3, "rtol": 1e-3}
    np.testing.assert_allclose(
        predict(lite0, as_bytes, device=device),
        predict(lite0, as_floats, device=device),
        **tolerance,
    )
    one, other = (evaluate(lite0, batches, device=device) for batches in (as_bytes, as_floats))
    assert one[0] == pytest.approx(other[0], rel=1e-3)
    features = [frozen_features(lite0, batches, device)[0] for batches in (as_bytes, as_floats)]
    torch.testing.assert_close(*features, **tolerance)
    batch = next(iter(as_bytes))[0]
    maps = [grad_cam(lite0, one, images.labels, device=device) for one in (batch, floats)]
    np.testing.assert_allclose(*maps, atol=0.01)


# --- files ----------------------------------------------------------------------------------------


def test_a_file_of_ours_tells_it_and_another_is_taken_for_timms(tmp_path):
    model = create_model("test_resnet")
    model.input_mean, model.input_std = OTHERS["mean"], OTHERS["std"]
    (tmp_path / "ours.safetensors").write_bytes(pack_weights(model.state_dict(), model))
    save_file(model.state_dict(), tmp_path / "other.safetensors")
    ours = read_weights(tmp_path / "ours.safetensors", "test_resnet")
    other = read_weights(tmp_path / "other.safetensors", "test_resnet")
    assert {"mean": ours.mean, "std": ours.std} == OTHERS
    timms = find_weights_config("test_resnet")
    assert {"mean": other.mean, "std": other.std} == timms


def find_weights_config(name: str) -> dict:
    """Return what timm says of a net's weights."""
    from cifarlib.models.weights import pretrained_config

    config = pretrained_config(name)
    return {"mean": config.mean, "std": config.std}


def test_metadata_of_another_program_are_said(tmp_path):
    path = tmp_path / "strange.safetensors"
    save_file(create_model("test_resnet").state_dict(), path, {"mean": "grey", "std": "[1, 1, 1]"})
    with pytest.raises(ValueError, match="its metadata say mean or std 'grey'"):
        read_weights(path, "test_resnet")


def test_a_net_trained_from_scratch_is_not_fed_otherwise_when_it_is_loaded_again(
    train, test, tmp_path
):
    from cifarlib import Experiment

    experiment = Experiment("test_resnet", 32, "scratch", "smoke")
    finished = run(experiment, runs_dir=tmp_path, data=(train, test), progress=False)
    again = create_model("test_resnet", pretrained=finished.best_path)
    assert normalization_of(again) == IMAGENETS
    assert find_weights_config("test_resnet") != IMAGENETS  # else this proves nothing
    assert normalization_of(finished.load_model()) == IMAGENETS


def test_lite0s_weights_are_found_with_their_own_mean():
    assert find_weights("tf_efficientnet_lite0.in1k").mean == HALVES["mean"]


def test_a_net_from_scratch_that_is_handed_on_is_not_taken_for_imagenets():
    scratch = create_model("EfficientNet_lite0")
    assert normalization_of(create_model("EfficientNet_lite0", pretrained=scratch)) == IMAGENETS


def test_a_mean_may_be_an_array(lite0):
    mean, std = np.array(OTHERS["mean"]), np.array(OTHERS["std"])
    batch = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    prepared = choose_device(lite0, mean=mean, std=std).prepare(batch)
    np.testing.assert_allclose(prepared[0, :, 0, 0].numpy(), (1 - mean) / std, rtol=1e-5)
