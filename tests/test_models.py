"""Backbones by name, their sizes, and where their weights come from."""

import http.client
import time

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from cifarlib import BACKBONES, create_model, model_table
from cifarlib.machine import choose_machine
from cifarlib.models import is_depthwise, timm_name
from cifarlib.weights import MissingWeights, find_weights


def test_the_series_backbones_have_their_published_sizes():
    table = model_table(image_sizes=[32]).set_index("backbone")
    assert table.parameters_m.to_dict() == {
        "EfficientNet_b0": 4.14, "ResNet18": 11.23, "ResNet50": 23.71, "SE-ResNeXt50": 25.72, "EfficientNet_lite0": 3.5,
    }  # fmt: skip
    assert set(table.feature_map) == {"1×1"}


def test_multiply_adds_are_those_counted_by_hand():
    # ResNet18 at 224 px has 1.81 G multiply-adds (He et al. 2015, table 1: 1.8 × 10⁹)
    assert model_table(["ResNet18"], [224]).multiply_adds_m[0] == pytest.approx(1814, abs=5)


def test_a_cifar_stem_keeps_the_map_and_the_other_weights(tmp_path):
    for backbone in ("ResNet18", "SE-ResNeXt50"):
        row = model_table([backbone], [32], stem="cifar").iloc[0]
        assert row.feature_map == "4×4"
    whole = create_model("ResNet18", 1000)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    model = create_model("ResNet18", pretrained=tmp_path / "w.safetensors", stem="cifar", image_size=32)
    assert model.conv1.weight.shape == (64, 3, 3, 3)
    assert torch.equal(model.layer1[0].conv1.weight, whole.layer1[0].conv1.weight)
    for backbone in ("EfficientNet_b0", "convnext_atto"):
        with pytest.raises(ValueError, match="no ResNet-like stem"):
            create_model(backbone, stem="cifar")


def test_unknown_names_get_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'ResNet18'"):
        create_model("ResNet81")
    with pytest.raises(ValueError, match="did you mean 'resnet18"):
        create_model("resnet18.tv_in2k")
    with pytest.raises(ValueError, match="did you mean 'cifar'"):
        create_model("ResNet18", stem="cifer")
    assert timm_name("convnext_atto") == "convnext_atto"


@pytest.mark.parametrize("name", ["convnext_atto", "mobilenetv3_small_050", "regnetx_002", "vit_tiny_patch16_224"])
def test_any_timm_name_works_at_64_px(name):
    model = create_model(name, 7, image_size=64).eval()
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


def test_a_net_that_cannot_take_the_size_says_so():
    with pytest.raises(ValueError, match="inception_v3 cannot take 32 px pictures"):
        create_model("inception_v3", image_size=32)


def test_weights_from_a_folder_carry_their_origin(tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_WEIGHTS", str(tmp_path))
    whole = create_model("ResNet18", 1000)
    save_file(whole.state_dict(), tmp_path / "resnet18.safetensors", metadata={"origin": "a test"})
    weights = find_weights(BACKBONES["ResNet18"])
    assert weights.origin == "a test"
    model = create_model("ResNet18", 10, pretrained=True)
    assert torch.equal(model.conv1.weight, whole.conv1.weight)
    assert model.fc.weight.shape == (10, 512)
    torch.save(whole.state_dict(), tmp_path / "resnet18.tv_in1k.pt")
    assert find_weights(BACKBONES["ResNet18"]).origin == "resnet18.tv_in1k.pt"  # the tagged name comes first


def test_a_map_whose_channels_come_last_is_read_right():
    assert set(model_table(["swin_tiny_patch4_window7_224"], [64]).feature_map) == {"2×2"}


def test_weights_of_ones_own_keep_their_head(tmp_path):
    path = tmp_path / "mine.safetensors"
    trained = create_model("test_resnet", 100)
    save_file(trained.state_dict(), path)
    found = create_model("test_resnet", 100, pretrained=path)
    assert all(torch.equal(tensor, found.state_dict()[name]) for name, tensor in trained.state_dict().items())
    assert create_model("test_resnet", 7, pretrained=path).get_classifier().out_features == 7


def test_weights_of_another_net_or_damaged_ones_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(create_model("ResNet18", 1000).state_dict(), path)
    with pytest.raises(ValueError, match=r"are not resnet50\.tv_in1k's: 198 tensors missing"):
        create_model("ResNet50", pretrained=path)
    path.write_bytes(path.read_bytes()[:1000])
    for name in (path, tmp_path / "none.pt"):
        with pytest.raises(ValueError, match=r"cannot read weights|is no file"):
            create_model("ResNet18", pretrained=name)


def test_lite0_comes_with_the_requirements_and_still_knows_imagenet(monkeypatch):
    monkeypatch.delenv("CIFARLIB_WEIGHTS", raising=False)
    weights = find_weights(BACKBONES["EfficientNet_lite0"])
    assert weights.mean == weights.std == (0.5, 0.5, 0.5)
    assert len(weights.state) == 296
    model = create_model("EfficientNet_lite0", pretrained=True)
    assert torch.equal(model.conv_stem.weight, weights.state["conv_stem.weight"])
    assert torch.equal(model.bn1.running_var, weights.state["bn1.running_var"])


def test_missing_weights_are_given_up_soon_and_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("CIFARLIB_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("cifarlib.weights.silent", lambda url: "no answer within 3 s")
    start = time.perf_counter()
    for backbone in ("SE-ResNeXt50", "EfficientNet_b0"):
        with pytest.raises(MissingWeights, match=r"looked in CIFARLIB_WEIGHTS .* put .*\.safetensors into a folder"):
            create_model(backbone, pretrained=True)
    assert time.perf_counter() - start < 10


def test_a_download_that_breaks_off_leaves_the_weights_missing(monkeypatch, tmp_path):
    def broken(*args, **options):
        raise http.client.IncompleteRead(b"half")

    monkeypatch.setenv("CIFARLIB_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("cifarlib.weights.silent", lambda url: "")
    monkeypatch.setattr("cifarlib.weights.timm.create_model", broken)
    with pytest.raises(MissingWeights, match=r"the download broke off: IncompleteRead.* put .*\.safetensors"):
        find_weights(BACKBONES["SE-ResNeXt50"])


def test_resnets_begin_as_torchvisions_do():
    torch.manual_seed(0)
    for backbone, theirs in (("ResNet18", torchvision.models.resnet18), ("ResNet50", torchvision.models.resnet50)):
        ours, theirs = create_model(backbone).state_dict(), theirs(num_classes=100).state_dict()
        assert ours.keys() == theirs.keys()
        for name, tensor in theirs.items():
            if "bn" in name or "downsample.1" in name:
                assert torch.equal(ours[name], tensor), name
            elif tensor.numel() > 5_000:
                assert float(ours[name].std()) == pytest.approx(float(tensor.std()), rel=0.05), name


def test_depthwise_nets_stay_in_float32_on_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert is_depthwise(create_model("EfficientNet_b0"))
    assert not is_depthwise(create_model("SE-ResNeXt50"))
    assert choose_machine(create_model("EfficientNet_b0")).precision == "float32"
