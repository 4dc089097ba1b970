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

    backbone: a name in BACKBONES or any of timm's. pretrained: False, True (see find_weights), a weights file or
    Weights. stem: "cifar" puts a 3×3 stride-1 convolution in place of a ResNet-like net's 7×7 stride-2 one and drops
    its max-pool (He et al. 2015, section 4.2). image_size: pixels; ValueError for a net that can't take it.
    """
    name = timm_name(backbone)
    if stem not in STEMS:
        raise unknown("stem", stem, STEMS)
    fixed = image_size is not None and getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False)
    resnet = timm.models.is_model_in_modules(name.split(".")[0], ["resnet"])
    # ResNets begin as torchvision's, the write-up's, do; timm's residual branches would begin at nought
    options = ({"img_size": image_size} if fixed else {}) | ({"zero_init_last": False} if resnet else {})
    weights = read_weights(pretrained, name) if isinstance(pretrained, str | Path) else pretrained
    weights = find_weights(name) if weights is True else weights
    what = f"the weights ({weights.origin})" if weights else f"{image_size} px pictures"
    if weights:
        if missing := sorted(set(timm.create_model(name, **options).state_dict()) - set(weights.state)):
            raise ValueError(f"{what} are not {name}'s: {len(missing)} tensors missing, {missing[0]} the first")
        overlay = {"state_dict": dict(weights.state), "mean": weights.mean, "std": weights.std}
        head = weights.state.get(f"{timm.get_pretrained_cfg(name).classifier}.weight")
        overlay |= {} if head is None else {"num_classes": len(head)}  # else timm takes it for ImageNet's thousand
        options |= {"pretrained": True, "pretrained_cfg_overlay": overlay}
    try:
        model = timm.create_model(name, num_classes=num_classes, **options)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{backbone} cannot take {what}: {str(error).splitlines()[-1].strip()}") from None
    if stem == "cifar":
        _use_cifar_stem(model, backbone)
    if image_size is not None:
        try:
            with torch.inference_mode():
                model.eval()(torch.zeros(2, 3, image_size, image_size))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ValueError(f"{backbone} cannot take {image_size} px pictures: {str(error).splitlines()[0]}") from None
    return model.train()


def _use_cifar_stem(model: nn.Module, backbone: str) -> None:
    owner = getattr(model, "layer0", model)  # timm's legacy SE nets keep the convolution in layer0
    pool = next((name for name in ("maxpool", "pool0") if hasattr(model, name)), None)
    first = getattr(owner, "conv1", None)
    if not isinstance(first, nn.Conv2d) or pool is None:
        raise ValueError(f"{backbone} has no ResNet-like stem: stem='cifar' expects conv1 and a max-pool")
    owner.conv1 = nn.Conv2d(first.in_channels, first.out_channels, 3, stride=1, padding=1, bias=first.bias is not None)
    nn.init.kaiming_normal_(owner.conv1.weight, mode="fan_out", nonlinearity="relu")
    setattr(model, pool, nn.Identity())


def is_depthwise(model: nn.Module) -> bool:
    """Say whether a net has depthwise convolutions, one filter a channel."""
    return any(isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1 for m in model.modules())


def model_table(
    backbones: Iterable[str] = tuple(BACKBONES), image_sizes: Iterable[int] = (32, 64, 128), *, stem: str = "imagenet"
) -> pd.DataFrame:
    """Return one row for each backbone and image size, counted for 100 classes and one picture.

    parameters_m, multiply_adds_m: millions. feature_map: height × width of what the head averages, or tokens.
    """
    rows = []
    for backbone, image_size in itertools.product(backbones, image_sizes):
        with torch.device("meta"), torch.inference_mode():  # shapes alone: nothing is computed
            model = create_model(backbone, stem=stem, image_size=image_size).eval()
            with FlopCounterMode(display=False) as counter:
                features = model.forward_features(torch.zeros(1, 3, image_size, image_size))
                model.forward_head(features)
        parameters_m = round(sum(p.numel() for p in model.parameters()) / 1e6, 2)
        multiply_adds_m = round(counter.get_total_flops() / 2e6, 1)  # torch counts a multiply-add as two
        height, width = features.shape[1:3] if getattr(model, "output_fmt", "") == "NHWC" else features.shape[-2:]
        feature_map = f"{height}×{width}" if features.ndim == 4 else f"{features.shape[1]} tokens"
        rows.append((backbone, image_size, parameters_m, multiply_adds_m, feature_map))
    return pd.DataFrame(rows, columns=["backbone", "image_size", "parameters_m", "multiply_adds_m", "feature_map"])
