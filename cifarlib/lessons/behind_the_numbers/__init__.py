"""What 07 shows: how sure the scores are, what they rest on, how they were made."""

from ...published.read import published_curve, published_curves, published_table
from ..curves import distance_to_published
from ..figures import use_style
from ..twins import exact_twins, is_learned_from, near_twins, twins_figure
from .how_made import batch_norm_table, machines
from .memory import memory_effects, memory_figure, part_and_whole
from .scores import (
    gaps_figure,
    intervals_figure,
    score_intervals,
    seed_pairs,
    seeds_figure,
    tta_figure,
    tta_gains,
    validation_gaps,
)

__all__ = [  # what the notebook uses
    "batch_norm_table",
    "distance_to_published",
    "exact_twins",
    "gaps_figure",
    "intervals_figure",
    "is_learned_from",
    "machines",
    "memory_effects",
    "memory_figure",
    "near_twins",
    "part_and_whole",
    "published_curve",
    "published_curves",
    "published_table",
    "score_intervals",
    "seed_pairs",
    "seeds_figure",
    "tta_figure",
    "tta_gains",
    "twins_figure",
    "use_style",
    "validation_gaps",
]
