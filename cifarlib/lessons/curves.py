"""Training curves: the write-up's and ours in one figure, in tables, and where they end."""

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
from ..experiments.labels import look
from ..experiments.record import Run
from ..published.read import published_backbones, published_curve
from .figures import WIDTH, marked, percent_axis

MOST_NATS = 8  # a spike beyond would press all other lines flat
Style = dict[str, Any]  # how a line is drawn
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
Runs = Mapping[str, Run | None]  # by name; None is open
# columns of against_published
BESIDE = (
    "公布 published, last",
    "公布 published, best",
    "我們 ours, last",
    "我們 ours, best",
    "差 best, points",
)
PAIR = ["image_size", "backbone", "whose", "first", "second"]


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


def against_published(
    image_size: int,
    init: str,
    runs: Runs,
) -> pd.DataFrame:
    """Return validation accuracy beside the published: the last and the best epoch, a row a name.

    runs: name to run, or None where ours is open; the four published backbones come first. The
    difference is ours - published at their best, in points. A run of another budget than the
    write-up's says its own; † where Run.is_held_back.
    """
    rows = {}
    for name in dict.fromkeys([*published_backbones(), *runs]):
        theirs = published_curve(name, image_size, init).valid_accuracy
        run = runs.get(name)
        row = dict.fromkeys(BESIDE, "")
        row["公布 published, last"] = "–"
        if not theirs.empty:
            row["公布 published, last"] = f"{theirs.iloc[-1]:.1%}"
            row["公布 published, best"] = f"{theirs.max():.1%}"
        row["我們 ours, last"] = "open"
        if run:
            ours = run.history.valid_accuracy
            row["我們 ours, last"] = f"{ours.iloc[-1]:.1%}{_footnote(run)}"
            row["我們 ours, best"] = f"{ours.max():.1%}"
            if not theirs.empty and run.experiment.budget == "writeup":
                row["差 best, points"] = f"{100 * (ours.max() - theirs.max()):+.1f}"
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _footnote(run: Run) -> str:
    """Return what must stand behind a run's number: its budget, or † for its weights' scale."""
    if run.experiment.budget != "writeup":
        return f" ({run.experiment.budget})"
    if run.is_held_back:
        return " †"
    return ""


def distance_to_published(run: Run) -> dict[str, float]:
    """Return how far a run's accuracies lie from the published curve of its cell.

    "valid" and "train": the root of the mean square over the epochs that both have, in points.
    """
    experiment = run.experiment
    published = published_curve(experiment.backbone, experiment.image_size, experiment.init)
    ours = run.history.set_index("epoch")
    distances = {}
    for part in ("valid", "train"):
        difference = 100 * (ours[f"{part}_accuracy"] - published[f"{part}_accuracy"])
        distances[part] = float(np.sqrt(np.square(difference.dropna()).mean()))
    return distances


def overfitting(history: pd.DataFrame) -> dict[str, float]:
    """Return what a curve says of over-fitting, by its validation loss (nats) and accuracies.

    history: rows an epoch with the columns of Run.history or published_curves. "epoch": where
    validation loss was lowest; "rise": the last minus the lowest; "train", "valid": the last
    accuracies, fractions; "gap": train - valid, points.
    """
    loss = history.valid_loss.to_numpy()  # empty (NaN) where a published line leaves its panel
    lowest = int(np.nanargmin(loss))
    train = float(history.train_accuracy.iloc[-1])
    valid = float(history.valid_accuracy.iloc[-1])
    return {
        "epoch": lowest + 1,
        "rise": float(loss[-1] - loss[lowest]),
        "train": train,
        "valid": valid,
        "gap": 100 * (train - valid),
    }


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
