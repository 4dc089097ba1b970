"""Where ImageNet weights come from, and what is said where there are none."""

import http.client

import pytest
import torch
from safetensors.torch import save_file

from cifarlib import BACKBONES, create_model
from cifarlib.models.weights import MissingWeights, find_weights

HUB = "https://huggingface.co"

TAGGED = "test_resnet.r160_in1k"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of weights, empty."""
    monkeypatch.setenv("CIFARLIB_WEIGHTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def others(folder):
    """A folder of weights that holds another net's."""
    save_file(create_model("test_vit", 1000).state_dict(), folder / "test_vit.safetensors")
    return folder


@pytest.fixture
def whole():
    """A net as ImageNet's would be, with a thousand classes."""
    return create_model("test_resnet", 1000)


def test_weights_from_a_folder_carry_their_origin_and_get_a_new_head(folder, whole):
    path = folder / "test_resnet.safetensors"
    save_file(whole.state_dict(), path, metadata={"origin": "a test"})
    assert find_weights(TAGGED).origin == "a test"
    model = create_model(TAGGED, 10, pretrained=True)
    assert torch.equal(model.layer1[0].conv1.weight, whole.layer1[0].conv1.weight)
    assert model.fc.weight.shape == (10, 96)


def test_a_file_with_the_tag_in_its_name_comes_first(folder, whole):
    save_file(whole.state_dict(), folder / "test_resnet.safetensors")
    torch.save(whole.state_dict(), folder / f"{TAGGED}.pt")
    assert find_weights(TAGGED).origin == f"{TAGGED}.pt"


def test_weights_of_ones_own_keep_their_head_where_it_fits(tmp_path):
    path = tmp_path / "mine.safetensors"
    trained = create_model("test_resnet", 100)
    save_file(trained.state_dict(), path)
    found = create_model("test_resnet", 100, pretrained=path).state_dict()
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, found[name]), name
    other = create_model("test_resnet", 7, pretrained=path)
    assert other.get_classifier().out_features == 7


def test_weights_of_another_net_are_refused(tmp_path, whole):
    path = tmp_path / "w.safetensors"
    save_file(whole.state_dict(), path)
    with pytest.raises(ValueError, match=r"are not test_efficientnet's: \d+ tensors missing"):
        create_model("test_efficientnet", pretrained=path)


def test_damaged_weights_or_none_are_refused(tmp_path, whole):
    path = tmp_path / "w.safetensors"
    save_file(whole.state_dict(), path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cannot read weights"):
        create_model("test_resnet", pretrained=path)
    with pytest.raises(ValueError, match="is no file"):
        create_model("test_resnet", pretrained=tmp_path / "none.pt")


def test_lite0_comes_with_the_requirements_and_still_knows_imagenet():
    weights = find_weights(BACKBONES["EfficientNet_lite0"])
    assert weights.mean == weights.std == (0.5, 0.5, 0.5)
    assert len(weights.state) == 296
    model = create_model("EfficientNet_lite0", pretrained=True)
    assert torch.equal(model.conv_stem.weight, weights.state["conv_stem.weight"])
    assert torch.equal(model.bn1.running_var, weights.state["bn1.running_var"])


@pytest.mark.parametrize(
    ("backbone", "name", "host"),
    [
        ("SE-ResNeXt50", "legacy_seresnext50_32x4d", "https://github.com/"),
        ("EfficientNet_b0", "tf_efficientnet_b0", HUB),
    ],
)
def test_missing_weights_ask_the_network_once_and_say_what_to_do(
    backbone, name, host, others, monkeypatch
):
    asked = []

    def no_answer(url: str) -> str:
        asked.append(url)
        return "no answer within 3 s"

    monkeypatch.setattr("cifarlib.models.weights.silent", no_answer)
    monkeypatch.setattr("cifarlib.utils.online.silent", no_answer)
    advice = (
        rf"looked in CIFARLIB_WEIGHTS \({others}, where test_vit\.safetensors were seen and not read\), .*\(no answer within 3 s\); "
        rf"put {name}\.safetensors into a folder"
    )
    with pytest.raises(MissingWeights, match=advice):
        create_model(backbone, pretrained=True)
    assert len(asked) == 1
    assert asked[0].startswith(host)


def test_weights_that_may_not_be_downloaded_ask_the_network_nothing(others, monkeypatch):
    monkeypatch.setattr("cifarlib.models.weights.silent", pytest.fail)
    with pytest.raises(MissingWeights, match="not asked"):
        find_weights(BACKBONES["SE-ResNeXt50"], download=False)


def test_a_download_that_breaks_off_leaves_the_weights_missing(others, monkeypatch):
    def broken(*args, **options):
        raise http.client.IncompleteRead(b"half")

    monkeypatch.setattr("cifarlib.models.weights.silent", lambda url: "")
    monkeypatch.setattr("timm.create_model", broken)
    said = r"the download broke off: IncompleteRead.* put .*\.safetensors"
    with pytest.raises(MissingWeights, match=said):
        find_weights(BACKBONES["SE-ResNeXt50"])
