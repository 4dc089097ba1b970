"""What all figures share: the style, how numbers are written, where they are saved."""

import inspect
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ..experiments.record import Run
from ..utils.files import ensure_folder, repository_root
from .digest import tell_digests

if TYPE_CHECKING:
    from IPython.display import Code

WIDTH = 8  # inches, the width of a notebook's column
# fonts with Chinese characters, by the systems they come with; for classes of one's own
CHINESE_FONTS = (
    "Noto Sans CJK TC",
    "Noto Sans TC",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans TC",
    "Microsoft JhengHei",
    "Microsoft YaHei",
    "PingFang TC",
    "PingFang HK",
    "Heiti TC",
    "Arial Unicode MS",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "AR PL UMing TW",
)


def use_style() -> None:
    """Set the one style of the series for the figures that follow; each carries its digest.

    Chinese names, of one's own classes say, are drawn with the first of CHINESE_FONTS that is
    installed; where none is they are boxes, and matplotlib does not warn of each.
    """
    settings = {
        "figure.dpi": 90,
        "savefig.dpi": 90,
        "axes.titlesize": 11,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
    }
    tell_digests()
    sns.set_theme(style="whitegrid", context="notebook", font_scale=0.85, rc=settings)
    chinese = _chinese_font()
    if chinese:
        # a second family is asked for what the first lacks
        plt.rcParams["font.family"] = ["sans-serif", chinese]
    else:
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")


def _chinese_font() -> str | None:
    """Return the first of CHINESE_FONTS that is installed, or None."""
    installed = set(font_manager.get_font_names())
    for name in CHINESE_FONTS:
        if name in installed:
            return name
    return None


def save(figure: Figure, name: str) -> None:
    """Write a figure to images/<name>.png if CIFARLIB_SAVE_FIGURES=1 asks for it."""
    if os.environ.get("CIFARLIB_SAVE_FIGURES") == "1":
        folder = ensure_folder(repository_root() / "images")
        figure.savefig(folder / f"{name}.png", bbox_inches="tight", dpi=110)


def show_source(thing: object) -> "Code":
    """Return the source of a function or class, for a notebook to show with colours."""
    from IPython.display import Code  # only notebooks need it

    return Code(inspect.getsource(thing), language="python")  # type: ignore[arg-type]


def picture_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    columns: int = 10,
    row_labels: Sequence[str] | None = None,
    size: float | None = None,
) -> Figure:
    """Show pictures (H, W, 3), uint8 or floats on 0-1, row by row.

    row_labels: one left of each row. size: of a picture, in inches; by default the pictures fill
    the width.
    """
    rows = -(-len(images) // columns)  # rounded up
    size = size or WIDTH / columns
    row_height = 1.04 * size
    gap = 0.06  # of a picture's height
    if titles is not None:
        row_height = 1.28 * size
        gap = 0.3
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(size * columns, row_height * rows),
        squeeze=False,
        subplot_kw={"xticks": [], "yticks": []},
    )
    for axis in axes.flat[len(images) :]:
        axis.set_visible(False)
    for place, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(image, interpolation="nearest")
        if titles is not None:
            axis.set_title(titles[place], fontsize=7, pad=2)
        if row_labels is not None and place % columns == 0:
            label = row_labels[place // columns]
            axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    figure.subplots_adjust(wspace=0.06, hspace=gap)
    return figure


def marked(name: str, run: Run | None) -> str:
    """Return a run's name for a legend, with its pictures where those are not CIFAR-100's."""
    if run is None or run.data_mark == "":
        return name
    return f"{name}, {run.data_mark}"


def percent_axis(axis: Axis) -> None:
    """Write the ticks of an axis of fractions as percentages."""
    axis.set_major_formatter(PercentFormatter(1, decimals=0))


def p_in_words(p: float, decimals: int = 3) -> str:
    """Return a p-value as it is written in tables."""
    if p < 0.001:
        return "< 0.001"
    return f"{p:.{decimals}f}"
