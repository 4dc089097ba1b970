"""The pictures of a run: loaded at its size, split, and cut to its budget."""

from dataclasses import dataclass

from ..config import BUDGETS, Experiment
from ..data.images import SIDE, ImageSet, load_cifar100, split_folds


@dataclass(frozen=True)
class Parts:
    """The pictures of a run, in three parts."""

    train: ImageSet  # what is learned from
    valid: ImageSet  # what validates each epoch
    test: ImageSet  # what is tested once


def load_data(image_size: int = SIDE) -> tuple[ImageSet, ImageSet]:
    """Return (train, test) for a run: CIFAR-100, or one's own pictures at the run's image size."""
    train = load_cifar100("train", side=image_size)
    test = load_cifar100("test", side=image_size)
    return train, test


def split_parts(experiment: Experiment, train: ImageSet, test: ImageSet) -> Parts:
    """Return as many pictures of each part as the budget allows; fold 0 validates."""
    budget = BUDGETS[experiment.budget]
    kept, held_out = split_folds(train)
    return Parts(
        train=kept[: budget.n_train],
        valid=held_out[: budget.n_valid],
        test=test[: budget.n_test],
    )
