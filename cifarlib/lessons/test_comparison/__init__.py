"""What 05 shows: the comparison on the test set, its costs, its failures, and the literature."""

from ...published.read import literature, published_table
from ..figures import picture_grid, save, use_style
from .costs import cost_table, costs_figure, training_costs
from .failures import calibration_figure, evidence_figure, families_figure, top5_chart
from .fair import comparison_cells, fair_pairs, knob_table, pairs_table, side_by_side
from .own_picture import look_at
from .papers import literature_line
from .results import confusion, results_figure

__all__ = [  # what the notebook uses
    "calibration_figure",
    "comparison_cells",
    "confusion",
    "cost_table",
    "costs_figure",
    "evidence_figure",
    "fair_pairs",
    "families_figure",
    "knob_table",
    "literature",
    "literature_line",
    "look_at",
    "pairs_table",
    "picture_grid",
    "published_table",
    "results_figure",
    "save",
    "side_by_side",
    "top5_chart",
    "training_costs",
    "use_style",
]
