"""What a net is made of, and what becomes of a picture on its way through it."""

import itertools
from collections.abc import Iterable
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..config import BACKBONES, IMAGE_SIZES
from .backbones import create_model

COLUMNS = ["backbone", "image_size", "parameters_m", "multiply_adds_m", "feature_map"]


def model_table(
    backbones: Iterable[str] = tuple(BACKBONES),
    image_sizes: Iterable[int] = IMAGE_SIZES,
    *,
    stem: str = "imagenet",
) -> pd.DataFrame:
    """Return one row for each backbone and image size, counted for 100 classes and one picture.

    parameters_m, multiply_adds_m: millions. feature_map: height × width of what the head averages,
    or tokens.
    """
    rows = []
    for backbone, image_size in itertools.product(backbones, image_sizes):
        with torch.device("meta"), torch.inference_mode():  # shapes alone: nothing is computed
            model: Any = create_model(backbone, stem=stem, image_size=image_size).eval()
            with FlopCounterMode(display=False) as counter:
                features = model.forward_features(torch.zeros(1, 3, image_size, image_size))
                model.forward_head(features)
        multiply_adds = counter.get_total_flops() / 2  # torch counts a multiply-add as two
        parameters = sum(parameter.numel() for parameter in model.parameters())
        rows.append(
            [
                backbone,
                image_size,
                round(parameters / 1e6, 2),
                round(multiply_adds / 1e6, 1),
                _map_in_words(model, features),
            ]
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _map_in_words(model: nn.Module, features: torch.Tensor) -> str:
    if features.ndim != 4:
        return f"{features.shape[1]} tokens"
    if getattr(model, "output_fmt", "") == "NHWC":  # some transformers keep the channels last
        height, width = features.shape[1:3]
    else:
        height, width = features.shape[2:]
    return f"{height}×{width}"


def map_sides(model: Any, image_size: int) -> list[int]:
    """Return the side (pixels) of a net's feature map after each of the stages that timm names."""
    picture = torch.zeros(1, 3, image_size, image_size)
    with torch.inference_mode():
        maps = model.eval().forward_intermediates(picture, intermediates_only=True)
    return [feature_map.shape[-1] for feature_map in maps]


def idle_share(backbone: str, image_size: int) -> float:
    """Return the share of a net's parameters that only ever multiply padding at an image size.

    A 3×3 filter on a 1×1 map sees one pixel and eight zeros: eight of its nine weights learn
    nothing.
    """
    model = create_model(backbone, image_size=image_size).eval()
    shape_into: dict[Any, torch.Size] = {}

    def note_shape(layer: nn.Module, inputs: tuple, output: object) -> None:
        shape_into[layer] = inputs[0].shape

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note_shape)
    with torch.no_grad():
        model(torch.zeros(1, 3, image_size, image_size))
    idle = 0.0
    for layer, shape in shape_into.items():
        idle += layer.weight.numel() * _idle_share_of_filter(layer, shape)
    return idle / sum(parameter.numel() for parameter in model.parameters())


def _idle_share_of_filter(layer: Any, shape: torch.Size) -> float:
    """Return which share of a filter's weights meets no pixel of a map (N, C, H, W)."""
    # the same kernel with one channel on a map of ones: a weight that meets a pixel has a gradient
    one = type(layer)(
        1,
        1,
        layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        bias=False,
    )
    ones = torch.ones(1, 1, *shape[2:])
    (gradient,) = torch.autograd.grad(one(ones).sum(), one.weight)
    return (gradient == 0).double().mean().item()
