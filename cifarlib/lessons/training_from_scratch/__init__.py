"""What 03 shows: the blocks, and the course of training from scratch."""

from ...experiments.labels import COLORS
from ...published.read import measured_batch_norm
from ..collect import collect_runs
from ..curves import against_published, curve_panels, pairs_figure
from ..figures import WIDTH, save, show_source, use_style
from .blocks import block_sketches, block_table, idle_share
from .course import best_by_size, learning_rates, overfitting_table, pairs_of_ends

__all__ = [  # what the notebook uses
    "COLORS",
    "WIDTH",
    "against_published",
    "best_by_size",
    "block_sketches",
    "block_table",
    "collect_runs",
    "curve_panels",
    "idle_share",
    "learning_rates",
    "measured_batch_norm",
    "overfitting_table",
    "pairs_figure",
    "pairs_of_ends",
    "save",
    "show_source",
    "use_style",
]
