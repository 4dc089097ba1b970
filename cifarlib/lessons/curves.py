"""Training curves: the write-up's and ours in one figure, and what lies between their ends."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..config import IMAGE_SIZES
from ..experiments.record import Run
from ..published.read import published_backbones, published_curve
from .figures import WIDTH, look, marked, percent_axis

Style = dict[str, Any]  # how a line is drawn
MOST_NATS = 8  # a spike beyond would press all other lines flat
PUBLISHED: Style = {"linestyle": "-", "linewidth": 0.9, "alpha": 0.75}
OURS: Style = {"linestyle": "-", "linewidth": 2.6}
HELD_BACK: Style = {"linestyle": (0, (1, 1.2)), "linewidth": 2.6}
LIVE: Style = {"linestyle": "--", "linewidth": 1.8}
# what stands for a line in the key
STYLES: dict[str, Style] = {
    "published": PUBLISHED,
    "ours": OURS,
    "ours, weights at another scale †": HELD_BACK,
    "yours, a small budget": LIVE,
}
STAR = "lowest validation loss, if it rises again"


def curve_panels(image_size: int, init: str, runs: Mapping[str, Run | None]) -> Figure:
    """Draw loss and accuracy by epoch, training beside validation: the published and ours.

    The four published backbones are always there, thin; runs (name: run or None) are drawn strong,
    dotted where Run.is_held_back, dashed where they have another budget than the write-up's. ★
    marks the lowest validation loss of a line that rises afterwards. Losses are drawn up to 8 nats.
    """
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 6), sharey="row", layout="constrained")
    drawn = {name: run for name, run in runs.items() if run}
    for row, measure in zip(axes, ("loss", "accuracy"), strict=True):
        for axis, part in zip(row, ("train", "valid"), strict=True):
            for name in published_backbones():
                curve = published_curve(name, image_size, init).reset_index()
                _draw_curve(axis, curve, part, measure, look(name)["color"], PUBLISHED)
            for name, run in drawn.items():
                color = look(name, list(runs))["color"]
                _draw_curve(axis, run.history, part, measure, color, _line_of(run))
            axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[0, 0].set(title="training", ylabel="cross entropy (nats)", ylim=(0, _top(axes[0])))
    axes[0, 1].set_title("validation")
    axes[1, 0].set(ylabel="accuracy", xlabel="epoch", ylim=(0, None))
    axes[1, 1].set_xlabel("epoch")
    percent_axis(axes[1, 0].yaxis)
    figure.legend(
        handles=_key(runs, drawn),
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=8,
    )
    how = {"scratch": "from scratch", "imagenet": "fine-tuned"}[init]
    figure.suptitle(f"{image_size} px, {how}", fontsize=11)
    return figure


def _line_of(run: Run) -> Style:
    """Return how a run's line is drawn."""
    if run.experiment.budget != "writeup":
        return LIVE
    if run.is_held_back:
        return HELD_BACK
    return OURS


def _draw_curve(
    axis: Axes,
    history: pd.DataFrame,
    part: str,
    measure: str,
    color: str,
    style: Style,
) -> None:
    """Draw one line, and the star where it is the validation loss."""
    values = history[f"{part}_{measure}"]
    marker = ""
    if len(values) == 1:
        marker = "o"  # a single point has no line
    axis.plot(history.epoch, values, color=color, marker=marker, **style)
    lowest = int(np.nanargmin(values.to_numpy()))
    if (part, measure) == ("valid", "loss") and lowest < len(values) - 1:
        axis.plot(
            history.epoch.iloc[lowest],
            values.iloc[lowest],
            "*",
            color=color,
            markersize=4 + 3 * style["linewidth"],
        )


def _top(axes: Sequence[Axes]) -> float:
    """Return where two panels of losses end: MOST_NATS, or lower where nothing is as high."""
    highest = max(np.nanmax(line.get_ydata()) for axis in axes for line in axis.lines)
    return min(MOST_NATS, 1.05 * highest)


def _key(runs: Mapping[str, Run | None], drawn: Mapping[str, Run]) -> list[Line2D]:
    """Return what the legend shows: a colour a backbone, then what the lines mean."""
    names = [*published_backbones(), *drawn]
    handles = []
    for name in dict.fromkeys(names):
        color = look(name, list(runs))["color"]
        label = marked(name, drawn.get(name))
        handles.append(Line2D([], [], color=color, linewidth=5, label=label))
    used = [PUBLISHED, *(_line_of(run) for run in drawn.values())]
    for label, style in STYLES.items():
        if style in used:
            handles.append(Line2D([], [], color="black", label=label, **style))
    handles.append(Line2D([], [], color="black", marker="*", linestyle="", label=STAR))
    return handles


def best_by_size(init: str, runs_by_size: Mapping[int, Mapping[str, Run | None]]) -> Figure:
    """Draw the best validation accuracy by image size: the published thin, ours strong."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.75, 3.4), layout="constrained")
    places = range(len(IMAGE_SIZES))
    for name in published_backbones():
        best = [published_curve(name, size, init).valid_accuracy.max() for size in IMAGE_SIZES]
        axis.plot(places, best, fillstyle="none", linewidth=1, label=name, **look(name))
    for size, runs in runs_by_size.items():
        for name, run in runs.items():
            if run:
                best = run.history.valid_accuracy.max()
                place = IMAGE_SIZES.index(size)
                axis.plot(place, best, markersize=9, **look(name, list(runs)))
    axis.set(xticks=places, xticklabels=IMAGE_SIZES, xlim=(-0.3, 2.3))
    axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
    axis.set(xlabel="image size (px)", ylabel="best validation accuracy")
    percent_axis(axis.yaxis)
    axis.legend(fontsize=8, title="hollow: published · filled: ours", title_fontsize=8)
    return figure


def learning_rates(schedules: Mapping[str, Sequence[float] | np.ndarray]) -> Figure:
    """Draw learning rate by epoch, one line a named schedule."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.6, 2.6), layout="constrained")
    for name, rates in schedules.items():
        axis.plot(range(1, len(rates) + 1), rates, marker=".", label=name)
    axis.set(xlabel="epoch", ylabel="learning rate")
    axis.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axis.legend()
    return figure


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


def pairs_figure(pairs: pd.DataFrame, *, first: str, second: str, measure: str) -> Figure:
    """Draw for each size and backbone how far a second number lies from a first, joined by a line.

    pairs: image_size, backbone, whose ("published", thin, or "ours", strong), first (drawn hollow),
    second (filled): fractions. first, second, measure: what they are, in words.
    """
    figure, axes = plt.subplots(
        1,
        len(IMAGE_SIZES),
        figsize=(WIDTH, 3.5),
        sharey=True,
        layout="constrained",
    )
    names = list(dict.fromkeys(pairs.backbone))
    for axis, image_size in zip(axes, IMAGE_SIZES, strict=True):
        for row in pairs[pairs.image_size == image_size].itertuples():
            _draw_pair(axis, names.index(row.backbone), row)
        short = [name.replace("EfficientNet", "EffNet") for name in names]
        axis.set_xticks(range(len(names)), short, rotation=30, fontsize=7.5, ha="right")
        axis.set(title=f"{image_size} px", xlim=(-0.6, len(names) - 0.4), ylim=(0, 1.05))
        axis.grid(axis="x", visible=False)
    axes[0].set_ylabel(measure)
    percent_axis(axes[0].yaxis)
    handles = [
        Line2D([], [], color="black", marker="o", linestyle="", fillstyle="none", label=first),
        Line2D([], [], color="black", marker="o", linestyle="", label=second),
        Line2D([], [], color="black", linewidth=1, label="published"),
        Line2D([], [], color="black", linewidth=4, alpha=0.5, label="ours"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def _draw_pair(axis: Axes, place: int, row: Any) -> None:
    """Draw one pair: the published a little left of the middle, ours right of it."""
    style = look(row.backbone)
    x = place - 0.14
    width, alpha, size = 1.0, 0.8, 4.5
    if row.whose == "ours":
        x = place + 0.14
        width, alpha, size = 4.0, 0.5, 7.5
    ends = [row.first, row.second]
    axis.plot([x, x], ends, color=style["color"], linewidth=width, alpha=alpha)
    axis.plot(x, row.first, linestyle="", fillstyle="none", markersize=size, **style)
    axis.plot(x, row.second, linestyle="", markersize=size, **style)
