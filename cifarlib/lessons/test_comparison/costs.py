"""What a training costs: its hours at the measured speed, and the bargains that nobody beats."""

from typing import Any

import pandas as pd

from ...config import BACKBONES, IMAGE_SIZES, Experiment
from ...experiments.labels import SCALE, STARTS
from ...models.anatomy import model_table
from ...published.read import measured_speeds


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
