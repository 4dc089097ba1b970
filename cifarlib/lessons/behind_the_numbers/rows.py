"""Figures for whoever doubts: intervals, seeds, test-time augmentation, twins."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...config import BACKBONES
from ...data.cifar100 import ImageSet
from ...experiments.record import Run
from ...published.read import published_curve
from ...report.plots.pictures import picture_grid
from ..figures import WIDTH, look, percent_axis

GREY = "#444444"
BAND = "#bbbbbb"
GAP = 3  # white pixels between two pictures of a pair


def gaps_figure(gaps: pd.DataFrame) -> Figure:
    """Draw test - validation of each run of validation_gaps as a dot, and the 95% band behind."""
    figure, axis = _rows_of(gaps)
    row: Any
    for place, row in enumerate(gaps.itertuples()):
        axis.barh(place, 2 * row.band, left=-row.band, height=0.7, color=BAND, alpha=0.45)
        axis.plot(row.gap, place, linestyle="", markersize=7, **look(row.backbone))
    axis.axvline(0, color=GREY, linewidth=0.8)
    axis.set_xlabel("test − validation accuracy (points)")
    band = Patch(color=BAND, alpha=0.45, label="95% of gaps by chance")
    _legend(figure, [band, *_key(gaps)])
    return figure


def intervals_figure(intervals: pd.DataFrame) -> Figure:
    """Draw the test accuracy of each run of score_intervals with its interval."""
    figure, axis = _rows_of(intervals)
    row: Any
    for place, row in enumerate(intervals.itertuples()):
        sides = [[row.test - row.low], [row.high - row.test]]
        axis.errorbar(
            row.test,
            place,
            xerr=sides,
            capsize=3,
            linestyle="",
            markersize=4,
            **look(row.backbone),
        )
    axis.set_xlabel("test accuracy, with its 95% Wilson interval")
    percent_axis(axis.xaxis)
    _legend(figure, _key(intervals))
    return figure


def tta_figure(gains: pd.DataFrame) -> Figure:
    """Draw for each run of tta_gains what fixed views (marks) and random rounds (bars) gain."""
    figure, axis = _rows_of(gains)
    row: Any
    for place, row in enumerate(gains.itertuples()):
        style = look(row.backbone)
        low, high = 100 * (row.low - row.test), 100 * (row.high - row.test)
        axis.hlines(place, low, high, color=style["color"], linewidth=6, alpha=0.4)
        gain = 100 * (row.fixed - row.test)
        axis.plot(gain, place, linestyle="", markersize=6, **style)
    axis.axvline(0, color=GREY, linewidth=0.8)
    axis.set_xlabel("gain over the picture as it is (points)")
    handles = [
        Line2D([], [], color=GREY, linewidth=6, alpha=0.4, label="ten random rounds"),
        *_key(gains),
    ]
    _legend(figure, handles)
    return figure


def memory_figure(effects: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw what is left over of each cell of two tables of memory_effects, ± a standard error.

    effects: what the runs of a table are, in words; the first is drawn hollow, the second filled.
    """
    first, second = effects.values()
    figure, axis = _rows_of(second)
    for table, fill, offset in ((first, "none", -0.17), (second, "full", 0.17)):
        row: Any
        for place, row in enumerate(table.loc[second.index].itertuples()):
            axis.errorbar(
                row.left_over,
                place + offset,
                xerr=row.error,
                capsize=2,
                linestyle="",
                linewidth=1.2,
                markersize=6,
                fillstyle=fill,
                **look(row.backbone),
            )
    axis.axvline(0, color=GREY, linewidth=0.8)
    axis.set_xlabel("left over for having seen the twin (points, ± one standard error)")
    handles = []
    for words, fill in zip(effects, ("none", "full"), strict=True):
        grey: dict[str, Any] = {"color": GREY, "linestyle": "", "fillstyle": fill}
        handles.append(Line2D([], [], marker="o", label=words, **grey))
    _legend(figure, [*handles, *_key(second)])
    return figure


def _rows_of(table: pd.DataFrame) -> tuple[Figure, Axes]:
    """Return a figure of one panel with a row for each of a table's, the first on top."""
    figure, axis = plt.subplots(
        figsize=(WIDTH, 1.1 + 0.25 * len(table)),
        layout="constrained",
    )
    axis.set_yticks(range(len(table)), list(table.index), fontsize=8)
    axis.set_ylim(len(table) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    return figure, axis


def _key(table: pd.DataFrame) -> list[Line2D]:
    """Return a legend's marks, one a backbone of the table."""
    handles = []
    for name in BACKBONES:
        if name in set(table.backbone):
            style: dict[str, Any] = {"linestyle": "", **look(name)}
            handles.append(Line2D([], [], label=name, **style))
    return handles


def _legend(figure: Figure, handles: Sequence[Line2D | Patch]) -> None:
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=5, frameon=False, fontsize=8
    )


def seeds_figure(runs: Iterable[Run]) -> Figure:
    """Draw validation loss and accuracy by epoch of runs that differ in their seed alone.

    The published curve of their cell is drawn too, dotted, where there is one.
    """
    runs = list(runs)
    asked = runs[0].experiment
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3), layout="constrained")
    published = published_curve(asked.backbone, asked.image_size, asked.init).reset_index()
    colors = plt.get_cmap("viridis")(np.linspace(0.1, 0.8, len(runs)))
    for axis, measure in zip(axes, ("loss", "accuracy"), strict=True):
        for run, color in zip(runs, colors, strict=True):
            axis.plot(
                run.history.epoch,
                run.history[f"valid_{measure}"],
                color=color,
                linewidth=1.1,
                label=f"ours, seed {run.experiment.seed}",
            )
        if not published.empty:
            axis.plot(
                published.epoch,
                published[f"valid_{measure}"],
                color="black",
                linewidth=0.8,
                linestyle=":",
                label="published",
            )
        axis.set_xlabel("epoch")
    axes[0].set_ylabel("validation cross entropy (nats)")
    axes[1].set_ylabel("validation accuracy")
    percent_axis(axes[1].yaxis)
    axes[1].legend(fontsize=8)
    return figure


def twins_figure(
    test: ImageSet,
    train: ImageSet,
    twins: pd.DataFrame,
    levels: Sequence[float],
    *,
    columns: int = 5,
) -> Figure:
    """Show the pairs of near_twins that are nearest to each correlation, a row a level.

    The test picture is left, its twin right (turned back where it is mirrored); the titles are
    their classes, one name where they agree.
    """
    shown = []
    titles = []
    for level in levels:
        distance = (twins.correlation - level).abs().to_numpy()
        for place in np.argsort(distance, kind="stable")[:columns]:
            pair = twins.iloc[place]
            image = test.images[place]
            twin = train.images[pair.twin]
            if pair.is_mirrored:
                twin = twin[:, ::-1]
            white = np.full((len(image), GAP, 3), 255, np.uint8)
            shown.append(np.hstack([image, white, twin]))
            names = [test.classes[test.labels[place]], train.classes[train.labels[pair.twin]]]
            titles.append(" / ".join(dict.fromkeys(names)).replace("_", " "))
    rows = [f"{level:.2f}" for level in levels]
    figure = picture_grid(shown, titles, columns=columns, row_labels=rows)
    figure.set_size_inches(WIDTH, 0.95 * len(levels))
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.01, top=0.95)
    return figure
