"""Every figure of the series, in one style, with one colour and marker a backbone."""

from ...lessons.behind_the_numbers.rows import (
    gaps_figure,
    intervals_figure,
    memory_figure,
    seeds_figure,
    tta_figure,
    twins_figure,
)
from ...lessons.curves import best_by_size, curve_panels, learning_rates, match, pairs_figure
from ...lessons.data_augmentation import (
    class_wall,
    flips_figure,
    policy_curves,
    quiz_figure,
    spectra_figure,
)
from ...lessons.digest import digest
from ...lessons.figures import (
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
from ...lessons.test_comparison.failures import (
    calibration_figure,
    evidence_figure,
    families_figure,
    top5_chart,
)
from ...lessons.test_comparison.literature import literature_line
from ...lessons.test_comparison.results import confusion, results_figure
from ...lessons.training_from_scratch.blocks import block_sketches
from .costs import costs_figure
from .pictures import picture_grid
from .riddle import riddle_figure
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
