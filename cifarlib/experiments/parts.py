"""The pictures of a run: loaded at its size, split, and cut to its budget."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from torch.utils.data import DataLoader

from ..config import BUDGETS, RECIPES, Experiment
from ..data.cifar100 import (
    SIDE,
    ImageSet,
    data_id,
    data_name,
    in_canonical_order,
    load_cifar100,
    split_folds,
)
from ..data.loader import make_loader
from ..data.locate import data_place
from ..data.transforms import eval_transform, train_transform

EVAL_BATCH = 256  # pictures


@dataclass(frozen=True)
class Parts:
    """The images of a run, in three parts."""

    train: ImageSet  # what is learned from
    valid: ImageSet  # what validates each epoch
    test: ImageSet  # what is tested once
    cifar100: bool  # whether all are true CIFAR-100's

    @property
    def name(self) -> str:
        """The data's true name, for the record."""
        return data_name(self.train.source, cifar100=self.cifar100)


class Images:
    """The images that an experiment is run on: those handed in, or loaded when they are needed."""

    def __init__(self, image_size: int, data: Sequence[ImageSet] | None = None) -> None:
        self.image_size = image_size
        self.data = data

    @property
    def are_own(self) -> bool:
        """Whether they are a reader's own, which no published record is about unasked."""
        return self.data is not None or data_place().holds_own_pictures

    @functools.cached_property
    def sets(self) -> tuple[ImageSet, ImageSet]:
        """(train, test), checked and in canonical order."""
        if self.data is None:
            return load_data(self.image_size)
        return ready_data(self.data)

    @functools.cached_property
    def id(self) -> str:
        """Which images these are, told by their arrays as they are now: "" for CIFAR-100."""
        return data_id(*self.sets)


def load_data(image_size: int = SIDE) -> tuple[ImageSet, ImageSet]:
    """Return (train, test) for a run: CIFAR-100, or one's own pictures at the run's image size."""
    train = load_cifar100("train", side=image_size)
    test = load_cifar100("test", side=image_size)
    return train, test


def ready_data(data: Sequence[ImageSet]) -> tuple[ImageSet, ImageSet]:
    """Return (train, test) that somebody hands in as a run takes them: in canonical order.

    A budget takes the first so many of each: of a set that comes class by class that would be one
    class. Raises ValueError for what is not two image sets, for one without images, for arrays that
    were made unfit after the sets were, and where the two have other classes, or in another order.
    """
    kinds = [type(data).__name__]
    if isinstance(data, tuple | list):
        kinds = [type(images).__name__ for images in data]
    if kinds != ["ImageSet", "ImageSet"]:
        got = ", ".join(kinds[:4])
        raise ValueError(f"got data of {got or 'nothing'}, expected (train, test), two ImageSets")
    train, test = data
    for images in data:
        images.check()
        if len(images) == 0:
            raise ValueError("got a set without images, expected some to learn from and to test")
    if train.classes != test.classes:
        raise ValueError(
            f"the training set's classes are not the test set's: {_first_difference(train, test)}"
        )
    return in_canonical_order(train), in_canonical_order(test)


def _first_difference(train: ImageSet, test: ImageSet) -> str:
    if len(train.classes) != len(test.classes):
        return f"{len(train.classes)} and {len(test.classes)} of them"
    pairs = zip(train.classes, test.classes, strict=True)
    number, (one, other) = next(
        (number, pair) for number, pair in enumerate(pairs) if pair[0] != pair[1]
    )
    return f"number {number} is {one!r} and {other!r}"


def split_parts(
    experiment: Experiment,
    train: ImageSet,
    test: ImageSet,
    *,
    cifar100: bool,
) -> Parts:
    """Return as many images of each part as the budget allows; fold 0 validates.

    cifar100: whether both sets are true CIFAR-100's (see data_id).
    """
    budget = BUDGETS[experiment.budget]
    kept, held_out = split_folds(train)
    return Parts(
        train=kept[: budget.n_train],
        valid=held_out[: budget.n_valid],
        test=test[: budget.n_test],
        cifar100=cifar100,
    )


def make_loaders(
    experiment: Experiment,
    parts: Parts,
    num_workers: int | None,
) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Return the batches of training, validation and test, not yet normalised.

    The device does that, for uint8 pictures travel four times lighter than float32.
    """
    random_steps = train_transform(experiment.image_size, experiment.policy, normalize=False)
    no_steps = eval_transform(experiment.image_size, normalize=False)
    train_loader = make_loader(
        parts.train,
        random_steps,
        batch_size=RECIPES[experiment.recipe].batch_size,
        shuffle=True,
        seed=experiment.seed,
        num_workers=num_workers,
    )
    valid_loader = make_loader(parts.valid, no_steps, batch_size=EVAL_BATCH, num_workers=0)
    test_loader = make_loader(parts.test, no_steps, batch_size=EVAL_BATCH, num_workers=0)
    return train_loader, valid_loader, test_loader
