"""What a run is called in tables and figures, and a backbone's colour and marker."""

from collections.abc import Sequence
from typing import Any

from ..config import BACKBONES, BUDGETS, Experiment
from .record import Run

SCALE = "writeup"  # the budget of all that needs no other word
STARTS = {"scratch": "scratch", "imagenet": "fine-tuned"}
COLORS = dict(zip(BACKBONES, ("#c0392b", "#e69f00", "#0072b2", "#009e73", "#cc79a7"), strict=True))
MARKERS = dict(zip(BACKBONES, "so^Dv", strict=True))
# for other backbones than the series'
SPARE_COLORS = ("#56b4e9", "#7b4173", "#8c6d31", "#636363", "#17becf")
SPARE_MARKERS = "PX*<>"
# what a label says where an experiment is not the write-up's own
STEM_LABELS = {"cifar": "CIFAR stem"}
POLICY_LABELS = {"natural": "natural", "none": "no augmentation"}
RECIPE_LABELS = {"onecycle": "one-cycle"}


def cell_label(backbone: str, image_size: int, init: str) -> str:
    """Return a cell's name for readers: "ResNet18 32 px scratch"."""
    return f"{backbone} {image_size} px {STARTS[init]}"


def run_label(run: Run) -> str:
    """Return a run's name for readers: "ResNet18 32 px scratch, seed 1".

    What is not the write-up's own is said, the number of training pictures where it is fewer; †
    where Run.is_held_back.
    """
    experiment = run.experiment
    parts = [cell_label(experiment.backbone, experiment.image_size, experiment.init)]
    if experiment.stem in STEM_LABELS:
        parts.append(STEM_LABELS[experiment.stem])
    if experiment.policy in POLICY_LABELS:
        parts.append(POLICY_LABELS[experiment.policy])
    if experiment.recipe in RECIPE_LABELS:
        parts.append(RECIPE_LABELS[experiment.recipe])
    if experiment.lr is not None:
        parts.append(f"lr {experiment.lr:g}")
    if experiment.seed != 42:
        parts.append(f"seed {experiment.seed}")
    if experiment.budget != SCALE:
        parts.append(_budget_label(experiment))
    label = ", ".join(parts)
    if run.is_held_back:
        label += " †"
    return label


def _budget_label(experiment: Experiment) -> str:
    """Return what a budget spends otherwise than the write-up: fewer pictures, else epochs."""
    budget = BUDGETS[experiment.budget]
    if budget.n_train is None:
        return f"{budget.epochs[experiment.init]} epochs"
    return f"{budget.n_train:,} pictures"


def look(backbone: str, among: Sequence[str] = ()) -> dict[str, Any]:
    """Return a backbone's colour and marker; others than the series' get spare ones, in order."""
    if backbone in COLORS:
        return {"color": COLORS[backbone], "marker": MARKERS[backbone]}
    others = [name for name in among if name not in COLORS]
    place = 0
    if backbone in others:
        place = others.index(backbone) % len(SPARE_COLORS)
    return {"color": SPARE_COLORS[place], "marker": SPARE_MARKERS[place]}
