"""A figure of one panel with a row for each run of a table."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...config import BACKBONES
from ...experiments.labels import look
from ..figures import WIDTH

GREY = "#444444"


def rows_of(table: pd.DataFrame) -> tuple[Figure, Axes]:
    """Return a figure of one panel with a row for each of a table's, the first on top."""
    figure, axis = plt.subplots(
        figsize=(WIDTH, 1.1 + 0.25 * len(table)),
        layout="constrained",
    )
    axis.set_yticks(range(len(table)), list(table.index), fontsize=8)
    axis.set_ylim(len(table) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    return figure, axis


def key(table: pd.DataFrame) -> list[Line2D]:
    """Return a legend's marks, one a backbone of the table."""
    handles = []
    for name in BACKBONES:
        if name in set(table.backbone):
            style: dict[str, Any] = {"linestyle": "", **look(name)}
            handles.append(Line2D([], [], label=name, **style))
    return handles


def legend(figure: Figure, handles: Sequence[Line2D | Patch]) -> None:
    """Put a figure's legend below its panel."""
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=5, frameon=False, fontsize=8
    )
