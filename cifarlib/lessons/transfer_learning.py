"""What 04 shows: fine-tuning, the riddle of the compressed weights, two ways to train."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..config import IMAGE_SIZES
from ..experiments.labels import COLORS, look
from ..experiments.record import Run
from ..experiments.store import find_superseded
from ..published.read import measured_weight_scale, published_backbones, published_curve
from .collect import collect_runs
from .curves import (
    PAIR,
    Runs,
    against_published,
    curve_panels,
    distance_to_published,
    overfitting,
    pairs_figure,
)
from .figures import WIDTH, percent_axis, picture_grid, save, use_style

__all__ = [  # what the notebook uses
    "against_published",
    "collect_runs",
    "curve_panels",
    "distance_table",
    "filter_structure",
    "find_superseded",
    "finetuning_table",
    "match",
    "pairs_figure",
    "pairs_of_starts",
    "picture_grid",
    "published_backbones",
    "race",
    "riddle_figure",
    "save",
    "use_style",
]

CELL = ("ResNet18", 32, "imagenet")  # what the riddle's runs are of
LOOKS = ("--", "--o", "-", "-o")  # of the four runs, in their order


def finetuning_table() -> pd.DataFrame:
    """Return what the published fine-tuning curves say of speed and over-fitting.

    A row a backbone, two columns a size: the share of the last validation accuracy that is there
    after two epochs, and the last gap, train - valid in points.
    """
    rows = {}
    for name in published_backbones():
        row = {}
        for image_size in IMAGE_SIZES:
            curve = published_curve(name, image_size, "imagenet")
            share = curve.valid_accuracy[2] / curve.valid_accuracy.iloc[-1]
            row[f"{image_size} px: 第 2 輪 at 2"] = f"{share:.0%}"
            row[f"{image_size} px: 差距 gap"] = f"{overfitting(curve)['gap']:+.1f}"
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def pairs_of_starts(
    scratch: Mapping[int, Runs],
    tuned: Mapping[int, Runs],
) -> pd.DataFrame:
    """Return the best validation accuracy from scratch (first) and fine-tuned (second).

    For pairs_figure. Ours only where both are recorded and neither Run.is_held_back.
    """
    rows = []
    for image_size in IMAGE_SIZES:
        for name in published_backbones():
            ends = [_best_published(name, image_size, init) for init in ("scratch", "imagenet")]
            rows.append([image_size, name, "published", *ends])
            before = scratch[image_size].get(name)
            after = tuned[image_size].get(name)
            if before and after and not after.is_held_back:
                ends = [run.history.valid_accuracy.max() for run in (before, after)]
                rows.append([image_size, name, "ours", *ends])
    return pd.DataFrame(rows, columns=PAIR)


def _best_published(name: str, image_size: int, init: str) -> float:
    return float(published_curve(name, image_size, init).valid_accuracy.max())


def filter_structure(filters: torch.Tensor) -> dict[str, str]:
    """Return what tells first-layer filters (N, 3, k, k) from noise, in words.

    How many are dead (a norm below a hundredth of the largest), how far neighbouring weights of the
    others correlate, and in how many red, green and blue go together (mean correlation over 0.5).
    """
    weights = filters.detach().double().numpy()
    strength = np.sqrt(np.square(weights).sum((1, 2, 3)))
    living = weights[strength > 0.01 * strength.max()]
    right = np.corrcoef(living[..., :-1].ravel(), living[..., 1:].ravel())[0, 1]
    below = np.corrcoef(living[..., :-1, :].ravel(), living[..., 1:, :].ravel())[0, 1]
    agree = 0
    for kernel in living:
        colors = np.corrcoef(kernel.reshape(3, -1))[np.triu_indices(3, 1)]
        agree += colors.mean() > 0.5
    return {
        "死掉 dead": f"{len(weights) - len(living)} / {len(weights)}",
        "三色同向 colours agree": f"{agree} / {len(living)}",
        "與右鄰相關 r, right": f"{right:.2f}",
        "與下鄰相關 r, below": f"{below:.2f}",
        "最大權重 largest": f"{np.abs(weights).max():.1f}",
    }


def distance_table(runs: Mapping[str, Run | None]) -> pd.DataFrame:
    """Return how runs begin and end, and how far they lie from their published curve.

    runs: label to a run, or None (left out). Accuracies after the first and the last epoch, and
    the root mean square over the epochs, in points: see distance_to_published.
    """
    rows = {}
    for label, run in runs.items():
        if run is None:
            continue
        distance = distance_to_published(run)
        history = run.history
        rows[label] = {
            "第 1 輪驗證 valid, first": f"{history.valid_accuracy.iloc[0]:.1%}",
            "最後驗證 valid, last": f"{history.valid_accuracy.iloc[-1]:.1%}",
            "最後訓練 train, last": f"{history.train_accuracy.iloc[-1]:.1%}",
            "距離：驗證 RMS, valid": f"{distance['valid']:.1f}",
            "訓練 RMS, train": f"{distance['train']:.1f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def riddle_figure(runs: Mapping[str, Run | None]) -> Figure:
    """Draw how large the compressed weights are, and what each of four runs makes of its start.

    runs: label to a run of ResNet18 at 32 px, fine-tuned; one that is None is left out.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.4), layout="constrained")
    _draw_scales(left)
    curve = published_curve(*CELL).valid_accuracy
    right.plot(curve.index, curve, color="black", linewidth=1, label="published")
    for line, (label, run) in zip(LOOKS, runs.items(), strict=True):
        if run:
            right.plot(
                run.history.epoch,
                run.history.valid_accuracy,
                line,
                color=COLORS["ResNet18"],
                markersize=4,
                label=label,
            )
    right.set(xlabel="epoch", ylabel="validation accuracy", xticks=range(1, 11), ylim=(0, 0.5))
    percent_axis(right.yaxis)
    right.set_title("ResNet18, 32 px, fine-tuned")
    right.legend(fontsize=8)
    return figure


def _draw_scales(axis: Axes) -> None:
    """Draw each convolution's deviation over He's, from the first layer to the last."""
    for name, layers in measured_weight_scale().groupby("backbone"):
        depth = np.linspace(0, 1, len(layers))
        ratio = layers.deviation / layers.he_deviation
        color = look(str(name))["color"]
        axis.plot(depth, ratio, ".-", color=color, linewidth=1, label=str(name))
    axis.axhline(1, color="gray", linestyle=":", label="He's deviation")
    axis.set(yscale="log", ylim=(0.8, 90), yticks=(1, 2, 5, 10, 20), xticks=())
    axis.set_yticklabels(("1×", "2×", "5×", "10×", "20×"))
    axis.minorticks_off()
    axis.set(xlabel="first to last convolution", ylabel="weights' deviation ÷ He's")
    axis.set_title("the compressed weights")
    axis.legend(fontsize=8)


def race(
    steps: Iterator[None],
    measure: Callable[[], float],
    *,
    seconds: float,
    spent: float = 0.0,
    looks: int = 6,
) -> list[tuple[float, float]]:
    """Take steps for some seconds and return (seconds so far, measure()) at even intervals.

    What measuring takes does not count. spent: seconds that were needed before the first step.
    Raises ValueError where nothing of the time is left.
    """
    if spent >= seconds:
        raise ValueError(f"got {spent:.1f} s spent of {seconds:g} s, expected some to be left")
    marks = [spent + (seconds - spent) * look / looks for look in range(1, looks + 1)]
    seen = []
    clock = spent
    for mark in marks:
        while clock < mark:
            start = time.perf_counter()
            next(steps)
            clock += time.perf_counter() - start
        seen.append((clock, measure()))
    return seen


def match(arms: Mapping[str, Sequence[tuple[float, float]]]) -> Figure:
    """Draw validation accuracy by seconds, a line an arm: (seconds, accuracy) each."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 2.8), layout="constrained")
    for marker, (name, seen) in zip("os^D", arms.items(), strict=False):
        seconds, accuracy = zip(*seen, strict=True)
        axis.plot(seconds, accuracy, marker=marker, label=name)
    axis.axhline(0.01, color="gray", linestyle=":", label="guessing")
    axis.set(xlabel="seconds on this machine", ylabel="validation accuracy")
    axis.set(xlim=(0, None), ylim=(0, None))
    percent_axis(axis.yaxis)
    axis.legend(fontsize=8)
    return figure
