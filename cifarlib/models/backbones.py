"""The write-up's backbones, and any other of timm's, with a head of 100 outputs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import nn

from ..config import IMAGENET_MEAN, IMAGENET_STD, STEMS, timm_name
from ..utils.checks import whole_number
from ..utils.errors import lacks_memory, last_line, unknown
from .modes import evaluating
from .normalization import remember_normalization
from .weights import Weights, find_weights, pretrained_config, read_weights, weights_of_state

Pretrained = bool | str | Path | Weights | Mapping[str, torch.Tensor] | nn.Module

# how torch lists the tensors that weights lack
MISSING_TENSORS = re.compile(r"Missing key\(s\) in state_dict: (.*)")
QUOTED = re.compile(r'"([^"]+)"')


def create_model(
    backbone: str,
    num_classes: int = 100,
    *,
    pretrained: Pretrained = False,
    stem: str = "imagenet",
    image_size: int | None = None,
) -> nn.Module:
    """Return a network with one linear head: float (N, 3, S, S) in, logits (N, num_classes) out.

    backbone: a name in BACKBONES or any of timm's. pretrained: False, True (see find_weights), a
    weights file, Weights, a state dict or a net of the same kind; how they expect images to be
    normalised goes with the net (see normalization_of). stem: "cifar" puts a 3×3 stride-1
    convolution in place of a ResNet-like net's 7×7 stride-2 one and drops its max-pool (He et al.
    2015, section 4.2). image_size: pixels; the net
    remembers them. Raises ValueError for a net that can't take it, and for
    a name, a number or weights that cannot be.
    """
    name = timm_name(backbone)
    num_classes = whole_number("num_classes", num_classes, least=1)
    if image_size is not None:
        image_size = whole_number("image_size", image_size, least=1)
    if stem not in STEMS:
        raise unknown("stem", stem, STEMS)
    options = _options(name, image_size)
    weights = _resolve_weights(pretrained, name)
    if weights is None:
        failure = "cannot be built"
        if "img_size" in options:
            failure = f"cannot take {image_size} px pictures"
        model = _build(backbone, num_classes, options, failure=failure)
        remember_normalization(model, IMAGENET_MEAN, IMAGENET_STD, learned=False)
    else:
        what = f"the weights ({weights.origin})"
        _check_tensors(weights, name, options, what)
        options |= _weights_options(weights, name)
        model = _build(backbone, num_classes, options, failure=f"cannot take {what}")
        remember_normalization(model, weights.mean, weights.std)
    if stem == "cifar":
        _use_cifar_stem(model, backbone)
    if image_size is not None:
        _check_size(model, backbone, image_size)
        model.input_side = image_size  # type: ignore[assignment]  # which predict asks for
    return model.train()


# --- the steps of create_model --------------------------------------------------------------------


def _resolve_weights(pretrained: Pretrained, name: str) -> Weights | None:
    """Return the weights that were asked for, or None; ValueError for what cannot be weights."""
    if isinstance(pretrained, np.bool_):
        pretrained = bool(pretrained)
    if pretrained is False or pretrained is None:
        return None
    if pretrained is True:
        return find_weights(name)
    if isinstance(pretrained, Weights):
        return pretrained
    if isinstance(pretrained, str | Path):
        return read_weights(pretrained, name)
    if isinstance(pretrained, nn.Module):
        return weights_of_state(pretrained.state_dict(), name, owner=pretrained)
    if isinstance(pretrained, Mapping):
        return weights_of_state(pretrained, name)
    raise ValueError(
        f"got pretrained {pretrained!r}, expected True, False, a weights file, Weights,"
        " a state dict or a net"
    )


def _options(name: str, image_size: int | None) -> dict[str, Any]:
    """Return what timm must be told about a net besides its name."""
    options: dict[str, Any] = {}
    if image_size is not None and getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False):
        options["img_size"] = image_size  # transformers are built for one size
    if timm.models.is_model_in_modules(name.split(".")[0], ["resnet"]):
        # as torchvision's, the write-up's, begin; timm's residual branches would begin at nought
        options["zero_init_last"] = False
    return options


def _check_tensors(weights: Weights, name: str, options: dict[str, Any], what: str) -> None:
    """Raise ValueError if the net has tensors that the weights lack, as timm reads them."""
    try:
        # with as many classes as the weights have, timm insists on every tensor
        timm.create_model(name, **options, **_weights_options(weights, name))
    except Exception as error:  # each net has code of its own, which may raise any kind
        if lacks_memory(error):
            raise
        listed = MISSING_TENSORS.search(str(error))
        if not listed:  # too many tensors do no harm, and what else is wrong is told by _build
            return
        # a head of another number of classes is drawn anew, so one that is not there is not missed
        head = f"{pretrained_config(name).classifier}."
        missing = [tensor for tensor in QUOTED.findall(listed[1]) if not tensor.startswith(head)]
        if not missing:
            return
        raise ValueError(
            f"{what} are not {name}'s: {len(missing)} tensors missing, {missing[0]} the first"
        ) from None


def _weights_options(weights: Weights, name: str) -> dict[str, Any]:
    """Return what makes timm load these weights, as if they were its own."""
    overlay: dict[str, Any] = {
        "state_dict": dict(weights.state),
        "mean": weights.mean,
        "std": weights.std,
    }
    head = weights.state.get(f"{pretrained_config(name).classifier}.weight")
    if head is not None:
        overlay["num_classes"] = len(head)  # else timm takes it for ImageNet's thousand
    return {"pretrained": True, "pretrained_cfg_overlay": overlay}


def _build(backbone: str, num_classes: int, options: dict[str, Any], *, failure: str) -> nn.Module:
    """Return timm's net; whatever goes wrong, ValueError says `failure` and the last words."""
    try:
        return timm.create_model(timm_name(backbone), num_classes=num_classes, **options)
    except Exception as error:  # each net is built by code of its own, which may raise any kind
        if lacks_memory(error):
            raise
        raise ValueError(f"{backbone} {failure}: {last_line(error)}") from None


def _use_cifar_stem(model: nn.Module, backbone: str) -> None:
    """Make a ResNet-like net's first convolution a 3×3 one of stride 1, and drop its max-pool."""
    owner = getattr(model, "layer0", model)  # timm's legacy SE nets keep the convolution in layer0
    first = getattr(owner, "conv1", None)
    pool = next((name for name in ("maxpool", "pool0") if hasattr(model, name)), None)
    if not isinstance(first, nn.Conv2d) or pool is None:
        raise ValueError(
            f"{backbone} has no ResNet-like stem: stem='cifar' expects conv1 and a max-pool"
        )
    owner.conv1 = nn.Conv2d(
        first.in_channels,
        first.out_channels,
        kernel_size=3,
        stride=1,
        padding=1,
        bias=first.bias is not None,
    )
    nn.init.kaiming_normal_(owner.conv1.weight, mode="fan_out", nonlinearity="relu")
    setattr(model, pool, nn.Identity())


def _check_size(model: nn.Module, backbone: str, image_size: int) -> None:
    """Raise ValueError if a net cannot take pictures of this size; two go through it."""
    try:
        with evaluating(model), torch.inference_mode():
            model(torch.zeros(2, 3, image_size, image_size))
    except Exception as error:  # each net has code of its own, which may raise any kind
        if lacks_memory(error):
            raise
        raise ValueError(
            f"{backbone} cannot take {image_size} px pictures: {last_line(error)}"
        ) from None
