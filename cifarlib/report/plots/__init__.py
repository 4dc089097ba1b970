"""Every figure of the series, in one style, with one colour and marker a backbone."""

from .audits import (
    gaps_figure,
    intervals_figure,
    memory_figure,
    seeds_figure,
    tta_figure,
    twins_figure,
)
from .costs import costs_figure
from .curves import best_by_size, curve_panels, learning_rates, match, pairs_figure
from .digest import digest
from .exploration import class_wall, flips_figure, policy_curves, quiz_figure, spectra_figure
from .failures import calibration_figure, evidence_figure, families_figure, top5_chart
from .literature import literature_line
from .pictures import picture_grid
from .results import confusion, results_figure
from .riddle import riddle_figure
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
from .trials import gains_figure, trial_curves, trials_figure

__all__ = [
    "COLORS",
    "MARKERS",
    "SPARE_COLORS",
    "WIDTH",
    "best_by_size",
    "block_sketches",
    "calibration_figure",
    "class_wall",
    "confusion",
    "costs_figure",
    "curve_panels",
    "digest",
    "evidence_figure",
    "families_figure",
    "flips_figure",
    "gains_figure",
    "gaps_figure",
    "intervals_figure",
    "learning_rates",
    "literature_line",
    "look",
    "marked",
    "match",
    "memory_figure",
    "pairs_figure",
    "percent_axis",
    "picture_grid",
    "policy_curves",
    "quiz_figure",
    "results_figure",
    "riddle_figure",
    "save",
    "seeds_figure",
    "show_source",
    "spectra_figure",
    "top5_chart",
    "trial_curves",
    "trials_figure",
    "tta_figure",
    "twins_figure",
    "use_style",
]
