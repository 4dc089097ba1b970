"""The write-up's backbones, and any other of timm's, with a head of 100 outputs."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .files import unknown
from .weights import Weights, find_weights, read_weights

BACKBONES = {
    "EfficientNet_b0": "tf_efficientnet_b0.aa_in1k",
    "ResNet18": "resnet18.tv_in1k",
    "ResNet50": "resnet50.tv_in1k",
    "SE-ResNeXt50": "legacy_seresnext50_32x4d.in1k",
    "EfficientNet_lite0": "tf_efficientnet_lite0.in1k",
}
STEMS = ("imagenet", "cifar")


def timm_name(backbone: str) -> str:
    """Return timm's name for a display name or a timm name, tag included or not; ValueError if unknown."""
    name = BACKBONES.get(backbone, backbone)
    if not isinstance(name, str) or not timm.is_model(name):
        raise unknown("backbone", backbone, [*BACKBONES, *timm.list_models()])
    known = timm.list_pretrained(name.split(".")[0])
    if "." in name and known and name not in known:
        raise unknown("backbone", backbone, known)
    return name


def create_model(
    backbone: str,
    num_classes: int = 100,
    *,
    pretrained: bool | str | Path | Weights = False,
    stem: str = "imagenet",
    image_size: int | None = None,
) -> nn.Module:
    """Return a network with one linear head: float (N, 3, S, S) in, logits (N, num_classes) out.

    backbone: a name in BACKBONES or any of timm's. pretrained: False, True (see find_weights), the path
    of a weights file, or Weights. stem: "cifar" puts a 3×3 stride-1 convolution in place of a ResNet-like
    net's 7×7 stride-2 one and drops its max-pool (He et al. 2015, section 4.2). image_size: pixels;
    nets with a fixed input are built for it, and one that can't take it raises ValueError.
    """
    name = timm_name(backbone)
    if stem not in STEMS:
        raise unknown("stem", stem, STEMS)
    fixed = image_size is not None and getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False)
    options = {"img_size": image_size} if fixed else {}
    if isinstance(pretrained, str | Path):
        pretrained = read_weights(pretrained, name)
    elif pretrained is True:
        pretrained = find_weights(name)
    if pretrained:
        model = _with_weights(name, num_classes, pretrained, options)
    else:
        try:
            model = timm.create_model(name, num_classes=num_classes, **options)
        except (AssertionError, ValueError, RuntimeError, TypeError) as error:
            raise ValueError(f"{backbone} cannot take {image_size} px pictures: {error}") from None
    if stem == "cifar":
        _use_cifar_stem(model, backbone)
    if image_size is not None:
        _try_size(model, backbone, image_size)
    return model


def _with_weights(name: str, num_classes: int, weights: Weights, options: dict) -> nn.Module:
    complaint = f"the weights ({weights.origin}) are not {name}'s"
    if missing := sorted(set(timm.create_model(name, **options).state_dict()) - set(weights.state)):
        raise ValueError(f"{complaint}: {len(missing)} tensors missing, {missing[0]} the first")
    overlay = {"state_dict": dict(weights.state), "mean": weights.mean, "std": weights.std}
    try:
        return timm.create_model(
            name, pretrained=True, num_classes=num_classes, pretrained_cfg_overlay=overlay, **options
        )
    except RuntimeError as error:
        raise ValueError(f"{complaint}: {str(error).splitlines()[-1].strip()}") from None


def _use_cifar_stem(model: nn.Module, backbone: str) -> None:
    owner = getattr(model, "layer0", model)  # timm's legacy SE nets keep the convolution in layer0
    pool = next((name for name in ("maxpool", "pool0") if hasattr(model, name)), None)
    first = getattr(owner, "conv1", None)
    if not isinstance(first, nn.Conv2d) or pool is None:
        raise ValueError(f"{backbone} has no ResNet-like stem: stem='cifar' expects conv1 and a max-pool")
    owner.conv1 = nn.Conv2d(first.in_channels, first.out_channels, 3, stride=1, padding=1, bias=first.bias is not None)
    nn.init.kaiming_normal_(owner.conv1.weight, mode="fan_out", nonlinearity="relu")
    setattr(model, pool, nn.Identity())


def _try_size(model: nn.Module, backbone: str, image_size: int) -> None:
    was_training = model.training
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(2, 3, image_size, image_size))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{backbone} cannot take {image_size} px pictures: {reason}") from None
    model.train(was_training)


def is_depthwise(model: nn.Module) -> bool:
    """Say whether a net has depthwise convolutions, one filter a channel."""
    convolutions = (m for m in model.modules() if isinstance(m, nn.Conv2d))
    return any(m.groups == m.in_channels > 1 for m in convolutions)


def model_table(
    backbones: Iterable[str] = tuple(BACKBONES), image_sizes: Iterable[int] = (32, 64, 128), *, stem: str = "imagenet"
) -> pd.DataFrame:
    """Return one row for each backbone and image size: parameters, multiply-adds, feature map.

    parameters_m: millions, 100-class head included. multiply_adds_m: millions for one picture
    (half of torch's flop count). feature_map: height × width of what the head averages, or tokens.
    """
    rows = []
    for backbone, image_size in itertools.product(backbones, image_sizes):
        with torch.device("meta"), torch.inference_mode():  # shapes alone: nothing is computed
            model = create_model(backbone, stem=stem, image_size=image_size).eval()
            with FlopCounterMode(display=False) as counter:
                features = model.forward_features(torch.zeros(1, 3, image_size, image_size))
                model.forward_head(features)
        tokens = features.ndim != 4
        row = {
            "backbone": backbone,
            "image_size": image_size,
            "parameters_m": round(sum(p.numel() for p in model.parameters()) / 1e6, 2),
            "multiply_adds_m": round(counter.get_total_flops() / 2e6, 1),
            "feature_map": f"{features.shape[1]} tokens" if tokens else "×".join(map(str, features.shape[2:])),
        }
        rows.append(row)
    return pd.DataFrame(rows)
