"""Test results: the comparison at a glance, and who is taken for whom."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...config import BACKBONES, IMAGE_SIZES
from ...experiments.labels import look
from ..figures import WIDTH, percent_axis


def results_figure(cells: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw test accuracy by image size, a panel a kind: the published and ours, joined.

    cells: kind, image_size, backbone, ours, published (fractions or NaN), held_back (bool: marked
    †). A hollow mark stands at the published number where ours is open.
    """
    kinds = cells.kind.unique()
    figure, axes = plt.subplots(
        1,
        len(kinds),
        figsize=(WIDTH, 4),
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for axis, kind in zip(axes[0], kinds, strict=True):
        _draw_results(axis, cells[cells.kind == kind])
        axis.set_title(kind)
    axes[0, 0].set(ylabel="test accuracy", ylim=(0, None))
    handles = [Line2D([], [], linestyle="", label=name, **look(name)) for name in BACKBONES]
    grey: dict[str, Any] = {"color": "#444444", "linestyle": ""}
    handles += [
        Line2D([], [], marker="_", markersize=9, label="published", **grey),
        Line2D([], [], marker="o", label="ours", **grey),
        Line2D([], [], marker="o", fillstyle="none", label="published, ours open", **grey),
    ]
    if cells.held_back.any():
        dagger: dict[str, Any] = {"marker": "$†$", "color": "black", "linestyle": ""}
        handles.append(Line2D([], [], label="weights at another scale", **dagger))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure


def _draw_results(axis: Axes, cells: pd.DataFrame) -> None:
    """Draw one panel of results_figure: the backbones of a size side by side."""
    middle = len(BACKBONES) // 2
    row: Any
    for row in cells.itertuples():
        place = IMAGE_SIZES.index(row.image_size)
        x = place + 0.15 * (list(BACKBONES).index(row.backbone) - middle)
        style = look(row.backbone)
        color = style["color"]
        if np.isnan(row.ours):
            axis.plot(x, row.published, linestyle="", fillstyle="none", markersize=5, **style)
            continue
        axis.plot([x, x], [row.published, row.ours], color=color, linewidth=1.2, alpha=0.7)
        axis.plot(x, row.published, "_", color=color, markersize=9, markeredgewidth=1.4)
        axis.plot(x, row.ours, linestyle="", markersize=7, **style)
        if row.held_back:
            axis.annotate("†", (x, row.ours), (4, -3), textcoords="offset points", fontsize=8)
    axis.set(xlabel="image size (px)", xticks=range(len(IMAGE_SIZES)), xticklabels=IMAGE_SIZES)
    axis.grid(axis="x", visible=False)
    percent_axis(axis.yaxis)


def confusion(counts: np.ndarray, names: Sequence[str], *, masked: bool = True) -> Figure:
    """Draw a confusion matrix (C, C) of superclasses as shares of each true one, in %.

    masked: the diagonal is left out, so that the mistakes can be told apart.
    """
    # a class without pictures is divided by one, not by nought
    per_class = np.maximum(counts.sum(1, keepdims=True), 1)
    labels = [name.replace("_", " ") for name in names]
    side = WIDTH * 0.82
    figure, axis = plt.subplots(figsize=(side, side * 0.82), layout="constrained")
    sns.heatmap(
        100 * counts / per_class,
        mask=np.eye(len(counts), dtype=bool) & masked,
        ax=axis,
        cmap="rocket_r",
        xticklabels=labels,
        yticklabels=labels,
        square=True,
        linewidths=0.3,
        cbar_kws={"label": "share of the true superclass (%)", "shrink": 0.7},
    )
    axis.set(xlabel="predicted", ylabel="true")
    axis.tick_params(labelsize=7)
    return figure
