"""What a net is made of, and what becomes of a picture on its way through it."""

import contextlib
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ..config import BACKBONES, IMAGE_SIZES
from ..utils.checks import as_list
from .backbones import create_model
from .modes import evaluating

COLUMNS = ["backbone", "image_size", "parameters_m", "multiply_adds_m", "feature_map"]
NO_MAP = "–"  # for features that are neither a map nor tokens


def model_table(
    backbones: str | Iterable[str] = tuple(BACKBONES),
    image_sizes: int | Iterable[int] = IMAGE_SIZES,
    *,
    stem: str = "imagenet",
) -> pd.DataFrame:
    """Return one row for each backbone and image size, counted for 100 classes and one picture.

    parameters_m, multiply_adds_m: millions. feature_map: height × width of what the head averages,
    or tokens; several branches are joined by " + "; "–" where the features are neither.
    """
    rows = []
    for backbone, image_size in itertools.product(as_list(backbones), as_list(image_sizes)):
        parameters, multiply_adds, feature_map = _count(backbone, image_size, stem)
        rows.append(
            [
                backbone,
                image_size,
                round(parameters / 1e6, 2),
                round(multiply_adds / 1e6, 1),
                feature_map,
            ]
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _count(backbone: str, image_size: int, stem: str) -> tuple[int, float, str]:
    """Return a net's parameters, its multiply-adds for one picture, and its feature map."""
    # some nets fail on the meta device alone, in create_model, whose errors are ValueErrors
    with contextlib.suppress(ValueError):
        return _count_on("meta", backbone, image_size, stem)  # shapes alone: nothing is computed
    with torch.random.fork_rng(devices=[]):  # a table draws no random numbers from its caller
        return _count_on("cpu", backbone, image_size, stem)


def _count_on(
    device: str,
    backbone: str,
    image_size: int,
    stem: str,
) -> tuple[int, float, str]:
    # torch's counter knows no formula for the CPU's fused attention, but for its plain products
    plain_attention = sdpa_kernel(SDPBackend.MATH)
    with torch.device(device), torch.inference_mode(), plain_attention:
        model = create_model(backbone, stem=stem, image_size=image_size).eval()
        # the counter would fail where a net hands one of its layers a parameter as input
        model.requires_grad_(False)
        returned = _record_features(model)
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, image_size, image_size))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    multiply_adds = counter.get_total_flops() / 2  # torch counts a multiply-add as two
    return parameters, multiply_adds, _map_in_words(model, returned)


def _record_features(model: Any) -> list:
    """Return a list to which a net adds what its forward_features returns, at each call."""
    returned: list = []
    forward_features = getattr(model, "forward_features", None)
    if forward_features is None:
        return returned

    def record(*inputs: Any, **options: Any) -> Any:
        features = forward_features(*inputs, **options)
        returned.append(features)
        return features

    # a hook would not do: forward_features is a method, no layer
    model.forward_features = record
    return returned


def _map_in_words(model: nn.Module, features: Any) -> str:
    """Return height × width of a map, the number of tokens, or NO_MAP; branches are joined."""
    if isinstance(features, Mapping):
        features = list(features.values())
    if isinstance(features, list | tuple):
        branches = [_map_in_words(model, branch) for branch in features]
        if not branches or NO_MAP in branches:
            return NO_MAP
        return " + ".join(branches)
    if not isinstance(features, torch.Tensor):
        return NO_MAP
    if features.ndim == 3:
        return f"{_count_tokens(model, features.shape)} tokens"
    if features.ndim != 4:
        return NO_MAP
    if getattr(model, "output_fmt", "") == "NHWC":  # some transformers keep the channels last
        height, width = features.shape[1:3]
    else:
        height, width = features.shape[2:]
    return f"{height}×{width}"


def _count_tokens(model: Any, shape: torch.Size) -> int:
    """Return how many tokens features have: (N, tokens, C), and in few nets (N, C, tokens)."""
    channels = [stage["num_chs"] for stage in getattr(model, "feature_info", [])]
    if shape[1] in channels and shape[2] not in channels:
        return shape[2]
    return shape[1]


def map_sides(model: Any, image_size: int) -> list[int]:
    """Return the side (pixels) of a net's feature map after each of the stages that timm names."""
    picture = torch.zeros(1, 3, image_size, image_size)
    with evaluating(model), torch.inference_mode():
        maps = model.forward_intermediates(picture, intermediates_only=True)
    return [feature_map.shape[-1] for feature_map in maps]
