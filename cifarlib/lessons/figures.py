"""What all figures share: the style, a colour and marker a backbone, where they are saved."""

import inspect
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ..config import BACKBONES
from ..experiments.record import Run
from ..utils.files import ensure_folder, repository_root
from .digest import tell_digests

if TYPE_CHECKING:
    from IPython.display import Code

COLORS = dict(zip(BACKBONES, ("#c0392b", "#e69f00", "#0072b2", "#009e73", "#cc79a7"), strict=True))
MARKERS = dict(zip(BACKBONES, "so^Dv", strict=True))
# for other backbones than the series'
SPARE_COLORS = ("#56b4e9", "#7b4173", "#8c6d31", "#636363", "#17becf")
SPARE_MARKERS = "PX*<>"
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


def look(backbone: str, among: Sequence[str] = ()) -> dict[str, Any]:
    """Return a backbone's colour and marker; others than the series' get spare ones, in order."""
    if backbone in COLORS:
        return {"color": COLORS[backbone], "marker": MARKERS[backbone]}
    others = [name for name in among if name not in COLORS]
    place = 0
    if backbone in others:
        place = others.index(backbone) % len(SPARE_COLORS)
    return {"color": SPARE_COLORS[place], "marker": SPARE_MARKERS[place]}


def marked(name: str, run: Run | None) -> str:
    """Return a run's name for a legend, with its pictures where those are not CIFAR-100's."""
    if run is None or run.data_mark == "":
        return name
    return f"{name}, {run.data_mark}"


def percent_axis(axis: Axis) -> None:
    """Write the ticks of an axis of fractions as percentages."""
    axis.set_major_formatter(PercentFormatter(1, decimals=0))
