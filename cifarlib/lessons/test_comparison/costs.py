"""What a training costs: its hours at the measured speed, and the bargains that nobody beats."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...config import BACKBONES, IMAGE_SIZES, Experiment
from ...experiments.labels import SCALE, STARTS, look
from ...models.anatomy import model_table
from ...published.read import measured_speeds
from ..figures import WIDTH, percent_axis

# where the image size stands beside its mark, in points of type, so that none covers another
ABOVE = ((0, 7), "center")
SIZE_PLACES = {
    "EfficientNet_b0": ((-7, -3), "right"),
    "SE-ResNeXt50": ((7, -3), "left"),
}


def cost_table() -> pd.DataFrame:
    """Return each backbone's parameters, multiply-adds and measured training speed, as a table."""
    counted = model_table().set_index(["backbone", "image_size"])
    speed = _speed()
    rows = {}
    for backbone in BACKBONES:
        row = {"參數 parameters (M)": f"{counted.parameters_m[backbone, 32]:.1f}"}
        for size in (32, 128):
            work = counted.multiply_adds_m[backbone, size]
            row[f"乘加 multiply-adds (M), {size} px"] = f"{work:,.0f}"
        for size in IMAGE_SIZES:
            row[f"每秒張數 images/s, {size} px"] = f"{speed[backbone, size]:,.0f}"
        rows[backbone] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def training_costs(cells: pd.DataFrame, kind: str = "fine-tuned") -> pd.DataFrame:
    """Return the cells of one kind with the hours of a training at the measured speed.

    cells: as comparison_cells returns them. Columns: those, hours (of the write-up's epochs with
    validation and test), on_front (bool: no published cell is as quick and better).
    """
    (init,) = [init for init, name in STARTS.items() if name == kind]
    costs = cells[cells.kind == kind].copy()
    speed = _speed()
    hours = []
    cell: Any
    for cell in costs.itertuples():
        work = Experiment(cell.backbone, cell.image_size, init, SCALE).work()
        hours.append(work / speed[cell.backbone, cell.image_size] / 3600)
    costs["hours"] = hours
    costs = costs.sort_values("hours", ignore_index=True)
    best_before = costs.published.cummax().shift(fill_value=0).ffill()
    costs["on_front"] = costs.published > best_before
    return costs


def _speed() -> pd.Series:
    """Return the measured images a second of the whole training loop, by backbone and size."""
    speeds = measured_speeds()
    usual = speeds[speeds.stem == "imagenet"]
    return usual.set_index(["backbone", "image_size"]).images_per_second


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
