"""How a run is called in tables and figures."""

from ..config import BUDGETS, Experiment
from .record import Run

SCALE = "writeup"  # the budget of all that needs no other word
STARTS = {"scratch": "scratch", "imagenet": "fine-tuned"}

# what a label says where an experiment is not the write-up's own
STEM_LABELS = {"cifar": "CIFAR stem"}
POLICY_LABELS = {"natural": "natural", "none": "no augmentation"}
RECIPE_LABELS = {"onecycle": "one-cycle"}


def cell_label(backbone: str, image_size: int, init: str) -> str:
    """Return a cell's name for readers: "ResNet18 32 px scratch"."""
    return f"{backbone} {image_size} px {STARTS[init]}"


def p_in_words(p: float, decimals: int = 3) -> str:
    """Return a p-value as it is written in tables."""
    if p < 0.001:
        return "< 0.001"
    return f"{p:.{decimals}f}"


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
