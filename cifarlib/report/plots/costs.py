"""Accuracy against the hours of a training."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...config import BACKBONES
from ...lessons.figures import WIDTH, look, percent_axis

# where the image size stands beside its mark, in points of type, so that none covers another
ABOVE = ((0, 7), "center")
SIZE_PLACES = {
    "EfficientNet_b0": ((-7, -3), "right"),
    "SE-ResNeXt50": ((7, -3), "left"),
}


def costs_figure(costs: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw test accuracy against the hours of a training, the published hollow, ours filled.

    costs: as training_costs returns them. A grey line joins the published cells that none beats in
    both; ours hang from theirs, † where they were held back.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.6), layout="constrained")
    front = costs[costs.on_front]
    axis.plot(front.hours, front.published, color="#bbbbbb", linewidth=6, alpha=0.6, zorder=0)
    cell: Any
    for cell in costs.itertuples():
        style = look(cell.backbone)
        dots: dict[str, Any] = {"linestyle": "", "zorder": 3, **style}
        axis.plot(cell.hours, cell.published, fillstyle="none", markersize=8, **dots)
        seen = cell.published
        if np.isnan(seen):
            seen = cell.ours
        offset, alignment = SIZE_PLACES.get(cell.backbone, ABOVE)
        axis.annotate(
            f"{cell.image_size}",
            (cell.hours, seen),
            xytext=offset,
            textcoords="offset points",
            ha=alignment,
            fontsize=7.5,
        )
        axis.plot(cell.hours, cell.ours, markersize=6, **dots)
        axis.plot(
            [cell.hours] * 2, [cell.ours, cell.published], color=style["color"], linewidth=0.7
        )
        if cell.held_back:
            axis.annotate("†", (cell.hours, cell.ours), (5, -3), textcoords="offset points")
    ticks = (0.2, 0.5, 1, 2, 5)
    axis.set_xscale("log")
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set(xlabel="hours of a training (log scale)", ylabel="test accuracy")
    percent_axis(axis.yaxis)
    grey: dict[str, Any] = {"color": "#444444", "linestyle": "", "marker": "o"}
    handles = [Line2D([], [], linestyle="", label=name, **look(name)) for name in BACKBONES]
    handles += [
        Line2D([], [], fillstyle="none", markersize=8, label="published, px beside it", **grey),
        Line2D([], [], markersize=6, label="ours († held back)", **grey),
        Line2D([], [], color="#bbbbbb", linewidth=6, alpha=0.6, label="published, none beats it"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure
