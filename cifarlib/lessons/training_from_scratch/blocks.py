"""The four blocks that the backbones are built of: as drawings, and what they cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ...experiments.labels import COLORS
from ...models.backbones import create_model
from ...models.modes import evaluating
from ..figures import WIDTH

WIDEST = 256  # channels of the widest layer
FULL = 0.8  # of a panel, the width of the widest layer
HEIGHT = 0.105  # of a panel, a layer's


@dataclass(frozen=True)
class Layer:
    """A layer of a block as it is drawn: what it is, and how many channels leave it."""

    text: str
    channels: int


BLOCKS: dict[str, tuple[str, list[Layer]]] = {
    "residual": (
        "ResNet18",
        [Layer("3×3, 64", 64), Layer("3×3, 64", 64)],
    ),
    "bottleneck": (
        "ResNet50",
        [Layer("1×1, 64", 64), Layer("3×3, 64", 64), Layer("1×1, 256", 256)],
    ),
    "grouped + SE": (
        "SE-ResNeXt50",
        [
            Layer("1×1, 128", 128),
            Layer("3×3, 128\n32 groups", 128),
            Layer("1×1, 256", 256),
            Layer("squeeze, excite", 256),
        ],
    ),
    "inverted": (
        "EfficientNet_b0",
        [
            Layer("1×1, 144", 144),
            Layer("3×3, 144\ndepthwise", 144),
            Layer("squeeze, excite", 144),
            Layer("1×1, 24", 24),
        ],
    ),
}
ENTERS = {"residual": 64, "bottleneck": 256, "grouped + SE": 256, "inverted": 24}


def block_sketches() -> Figure:
    """Draw each backbone's block, from the top down; a box's width is the root of its channels."""
    figure, axes = plt.subplots(1, 4, figsize=(WIDTH, 3.5), layout="constrained")
    for axis, (name, (backbone, layers)) in zip(axes, BLOCKS.items(), strict=True):
        _draw_block(axis, [Layer(f"{ENTERS[name]} in", ENTERS[name]), *layers], COLORS[backbone])
        axis.set_title(f"{name}\n{backbone}", fontsize=9)
    return figure


def _draw_block(axis: Axes, layers: list[Layer], color: str) -> None:
    """Draw what enters, the layers below each other, the sum, and the way around them."""
    axis.set(xlim=(0, 1.12), ylim=(-0.06, 1))
    axis.set_axis_off()
    middle = 0.46
    step = 0.8 / 4
    heights = [0.93 - step * place for place in range(len(layers))]
    for place, (layer, height) in enumerate(zip(layers, heights, strict=True)):
        if place == 0:
            _draw_layer(axis, layer, middle, height, color, alpha=0.12)
            continue
        _draw_layer(axis, layer, middle, height, color, alpha=0.4)
        _draw_arrow(axis, (middle, heights[place - 1]), (middle, height))
    end = heights[-1] - 0.16
    _draw_arrow(axis, (middle, heights[-1]), (middle, end + 0.03))
    axis.text(middle, end, "+", ha="center", va="center", fontsize=13, weight="bold")
    # the way around: from beside what enters down to the sum
    beside = middle + FULL / 2 * (layers[0].channels / WIDEST) ** 0.5 + 0.02
    edge = 1.02
    axis.plot(
        [beside, edge, edge, middle + 0.07],
        [heights[0], heights[0], end, end],
        color="#444444",
        linewidth=1.2,
    )


def _draw_layer(
    axis: Axes,
    layer: Layer,
    middle: float,
    height: float,
    color: str,
    *,
    alpha: float,
) -> None:
    width = FULL * (layer.channels / WIDEST) ** 0.5  # by the root, else 24 of 256 were a hair
    box = FancyBboxPatch(
        (middle - width / 2, height - HEIGHT / 2),
        width,
        HEIGHT,
        boxstyle="round,pad=0.01",
        facecolor=to_rgba(color, alpha),
        edgecolor=color,
    )
    axis.add_patch(box)
    axis.text(middle, height, layer.text, ha="center", va="center", fontsize=7)


def _draw_arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    gap = HEIGHT / 2 + 0.015
    arrow = FancyArrowPatch(
        (start[0], start[1] - gap),
        (end[0], end[1] + gap),
        arrowstyle="-|>",
        mutation_scale=8,
        color="#444444",
        linewidth=1.2,
    )
    axis.add_patch(arrow)


def block_table(blocks: Mapping[str, tuple[nn.Module, int]], side: int = 8) -> pd.DataFrame:
    """Return what blocks cost on a map of `side` pixels, and what becomes of them on one of 1×1.

    blocks: name to (block, the channels that enter it). Columns: parameters and multiply-adds
    (thousands), and the share of parameters that meet padding only on a 1×1 map.
    """
    rows = {}
    for name, (block, channels) in blocks.items():
        with evaluating(block):
            # shapes would do, but a block is small
            with torch.inference_mode(), FlopCounterMode(display=False) as counter:
                block(torch.zeros(1, channels, side, side))
            idle, _ = _idle_weights(block, torch.zeros(1, channels, 1, 1))
        parameters = sum(parameter.numel() for parameter in block.parameters())
        rows[name] = {
            "參數 parameters (k)": f"{parameters / 1e3:.1f}",
            f"乘加 multiply-adds, {side}×{side} (k)": f"{counter.get_total_flops() / 2e3:,.0f}",
            "1×1 時閒置 idle on 1×1": f"{idle / parameters:.0%}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def idle_share(backbone: str, image_size: int, *, spatial: bool = False) -> float:
    """Return the share of a net's parameters that only ever multiply padding at an image size.

    A 3×3 filter on a 1×1 map sees one pixel and eight zeros: eight of its nine weights learn
    nothing. spatial: among the weights of filters larger than 1×1 alone, which look at neighbours.
    """
    model = create_model(backbone, image_size=image_size).eval()
    idle, of_filters = _idle_weights(model, torch.zeros(1, 3, image_size, image_size))
    if spatial:
        return idle / max(of_filters, 1)
    return idle / sum(parameter.numel() for parameter in model.parameters())


def _idle_weights(model: nn.Module, picture: torch.Tensor) -> tuple[float, int]:
    """Return how many weights meet padding only, and how many filters larger than 1×1 have."""
    shape_into: dict[Any, torch.Size] = {}

    def note_shape(layer: nn.Module, inputs: tuple, output: object) -> None:
        shape_into[layer] = inputs[0].shape

    handles = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            handles.append(layer.register_forward_hook(note_shape))
    with torch.no_grad():
        model(picture)
    for handle in handles:
        handle.remove()
    idle = 0.0
    of_filters = 0
    for layer, shape in shape_into.items():
        if max(layer.kernel_size) > 1:
            idle += layer.weight.numel() * _idle_share_of_filter(layer, shape)
            of_filters += layer.weight.numel()
    return idle, of_filters


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
