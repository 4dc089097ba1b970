"""Every figure of the series, in one style, with one colour and marker a backbone."""

from .curves import curve_panels, learning_rates, pairs_figure
from .digest import digest
from .literature import literature_line
from .pictures import picture_grid
from .results import confusion, results_figure
from .sketches import block_sketches
from .style import (
    COLORS,
    MARKERS,
    SPARE_COLORS,
    WIDTH,
    look,
    marked,
    percent_axis,
    save,
    show_source,
    use_style,
)

__all__ = [
    "COLORS",
    "MARKERS",
    "SPARE_COLORS",
    "WIDTH",
    "block_sketches",
    "confusion",
    "curve_panels",
    "digest",
    "learning_rates",
    "literature_line",
    "look",
    "marked",
    "pairs_figure",
    "percent_axis",
    "picture_grid",
    "results_figure",
    "save",
    "show_source",
    "use_style",
]
