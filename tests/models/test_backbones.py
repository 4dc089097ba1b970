"""Backbones by name: their heads, stems, sizes, and how their weights begin."""

import re

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from cifarlib import create_model


@pytest.mark.parametrize("backbone", ["ResNet18", "SE-ResNeXt50"])
def test_a_cifar_stem_sees_every_pixel_of_a_picture(backbone):
    model = create_model(backbone, stem="cifar", image_size=32)
    first = next(layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d))
    assert first.weight.shape == (64, 3, 3, 3)
    assert first.stride == (1, 1)
    features = model.eval().forward_features(torch.zeros(1, 3, 32, 32))
    assert features.shape[2:] == (4, 4)


def test_a_cifar_stem_keeps_the_other_pretrained_weights(tmp_path):
    whole = create_model("ResNet18", 1000)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    model = create_model("ResNet18", pretrained=tmp_path / "w.safetensors", stem="cifar")
    assert model.conv1.weight.shape == (64, 3, 3, 3)
    assert torch.equal(model.layer1[0].conv1.weight, whole.layer1[0].conv1.weight)
    assert torch.equal(model.layer4[0].conv1.weight, whole.layer4[0].conv1.weight)


@pytest.mark.parametrize("backbone", ["EfficientNet_b0", "convnext_atto"])
def test_a_net_without_a_resnets_stem_gets_no_cifar_stem(backbone):
    with pytest.raises(ValueError, match="no ResNet-like stem"):
        create_model(backbone, stem="cifar")


def test_unknown_names_get_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'ResNet18'"):
        create_model("ResNet81")
    with pytest.raises(ValueError, match="did you mean 'resnet18"):
        create_model("resnet18.tv_in2k")
    with pytest.raises(ValueError, match="did you mean 'cifar'"):
        create_model("ResNet18", stem="cifer")


@pytest.mark.parametrize(
    "name",
    ["convnext_atto", "mobilenetv3_small_050", "regnetx_002", "vit_tiny_patch16_224"],
)
def test_any_timm_name_works_at_64_px(name):
    model = create_model(name, 7, image_size=64).eval()
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


def test_a_net_that_cannot_take_the_size_says_so():
    with pytest.raises(ValueError, match="inception_v3 cannot take 32 px pictures"):
        create_model("inception_v3", image_size=32)


@pytest.mark.parametrize(
    ("backbone", "image_size", "message"),
    [
        ("gcvit_xxtiny", 31, "cannot take 31 px pictures: division by zero"),  # when it is built
        ("test_maxvit", 31, "cannot take 31 px pictures: integer modulo by zero"),
        ("halonet26t", 64, "cannot take 64 px pictures: AssertionError"),  # an error without text
        ("test_vit", 31, "cannot take 31 px pictures: Input height (31) should be divisible by"),
        ("swinv2_tiny_window8_256", 1, "cannot take 1 px pictures: Trying to create tensor with"),
    ],
)
def test_whatever_a_net_raises_for_a_size_the_message_is_one_line(backbone, image_size, message):
    with pytest.raises(ValueError, match=re.escape(f"{backbone} {message}")) as caught:
        create_model(backbone, image_size=image_size)
    assert len(str(caught.value).splitlines()) == 1


def test_an_error_that_has_nothing_to_do_with_sizes_names_none(monkeypatch):
    def broken(*arguments, **options):
        raise KeyError("no such layer")

    monkeypatch.setattr("timm.create_model", broken)
    with pytest.raises(ValueError, match=r"^ResNet18 cannot be built: 'no such layer'"):
        create_model("ResNet18")


@pytest.mark.parametrize("classes", [0, -3, 1.5, "ten"])
def test_a_number_of_classes_that_cannot_be_is_said(classes):
    with pytest.raises(ValueError, match=f"got num_classes {classes!r}, expected a whole"):
        create_model("ResNet18", classes)


def test_too_little_memory_is_not_called_a_wrong_size():
    # no computer has room for two pictures of 10⁷ × 10⁷ pixels
    with pytest.raises(RuntimeError, match="memory"):
        create_model("test_resnet", image_size=10_000_000)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    ],
)
def test_too_little_memory_for_a_net_is_not_called_a_wrong_net(error, monkeypatch):
    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(type(error)) as caught:
        create_model("test_resnet")
    assert caught.value is error


def test_the_check_of_a_size_changes_neither_the_net_nor_random_numbers():
    torch.manual_seed(0)
    unchecked = create_model("test_resnet")
    drawn = torch.rand(1)
    torch.manual_seed(0)
    checked = create_model("test_resnet", image_size=32)
    assert torch.equal(torch.rand(1), drawn)
    for name, tensor in unchecked.state_dict().items():
        assert torch.equal(checked.state_dict()[name], tensor), name
    assert checked.training


@pytest.mark.parametrize(
    ("backbone", "torchvisions"),
    [("ResNet18", torchvision.models.resnet18), ("ResNet50", torchvision.models.resnet50)],
)
def test_resnets_begin_as_torchvisions_do(backbone, torchvisions):
    torch.manual_seed(0)
    ours = create_model(backbone).state_dict()
    theirs = torchvisions(num_classes=100).state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        if "bn" in name or "downsample.1" in name:
            assert torch.equal(ours[name], tensor), name
        elif tensor.numel() > 5_000:
            spread = float(tensor.std())
            assert float(ours[name].std()) == pytest.approx(spread, rel=0.05), name
