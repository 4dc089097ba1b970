"""What is asked of a run: the experiment, and the budget it may spend."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, fields

from .augment import POLICIES
from .files import unknown
from .models import BACKBONES, STEMS, timm_name
from .training import RECIPES

INITS = ("scratch", "imagenet")
IMAGE_SIZES = (32, 64, 128)


@dataclass(frozen=True)
class Budget:
    """How much a run may spend: pictures of each part (None: all), epochs and learning rate by init."""

    n_train: int | None
    n_valid: int | None
    n_test: int | None
    epochs: dict[str, int]
    lr: dict[str, float]


BUDGETS = {
    "writeup": Budget(None, None, None, {"scratch": 50, "imagenet": 10}, {"scratch": 1e-3, "imagenet": 1e-4}),
    # 1e-4 needs the write-up's 6,250 steps; a fine-tuning of 785 steps gets ten times that
    "quick": Budget(10_000, 2_000, None, {"scratch": 10, "imagenet": 5}, {"scratch": 1e-3, "imagenet": 1e-3}),
    "smoke": Budget(400, 200, 200, {"scratch": 2, "imagenet": 1}, {"scratch": 1e-3, "imagenet": 1e-3}),
    # what notebook 04 asks about the learning rate: the write-up's steps at ten times its rate, and few steps at both
    "writeup_1e-3": Budget(None, None, None, {"scratch": 50, "imagenet": 10}, {"scratch": 1e-3, "imagenet": 1e-3}),
    "three_1e-3": Budget(10_000, 2_000, None, {"scratch": 3, "imagenet": 3}, {"scratch": 1e-3, "imagenet": 1e-3}),
    "three_1e-4": Budget(10_000, 2_000, None, {"scratch": 3, "imagenet": 3}, {"scratch": 1e-4, "imagenet": 1e-4}),
    # what notebook 06 gives a net that is made for small pictures
    "twelve": Budget(None, None, None, {"scratch": 12, "imagenet": 12}, {"scratch": 1e-3, "imagenet": 1e-3}),
}
COMPARED = ("writeup", "quick", "smoke")  # the budgets of the comparison, the largest first


@dataclass(frozen=True)
class Experiment:
    """One cell of the comparison; raises ValueError that names the nearest for a name it does not know.

    backbone: see create_model. image_size: pixels. init: "scratch" | "imagenet". budget, recipe, policy,
    stem: names in BUDGETS, RECIPES, POLICIES, STEMS. seed: of the weights and the augmentation.
    """

    backbone: str
    image_size: int
    init: str
    budget: str
    seed: int = 42
    recipe: str = "writeup"
    policy: str = "writeup"
    stem: str = "imagenet"

    def __post_init__(self) -> None:
        timm_name(self.backbone)
        known = {"init": INITS, "budget": BUDGETS, "recipe": RECIPES, "policy": POLICIES, "stem": STEMS}
        for kind, names in known.items():
            if getattr(self, kind) not in names:
                raise unknown(kind, getattr(self, kind), names)
        for name, least in (("image_size", 1), ("seed", 0)):
            if not isinstance(value := getattr(self, name), int) or value < least:
                raise ValueError(f"got {name} {value!r}, expected a whole number, {least} or more")

    @property
    def id(self) -> str:
        """The experiment's name, e.g. "ResNet18-32px-scratch-quick"; fields at their default are left out."""
        others = [(field.name, getattr(self, field.name)) for field in fields(self)[4:]]
        named = [f"{name}_{value}" for name, value in others if value != getattr(Experiment, name)]
        return "-".join([self.backbone, f"{self.image_size}px", self.init, self.budget, *named])

    @property
    def epochs(self) -> int:
        """How many epochs the budget gives."""
        return BUDGETS[self.budget].epochs[self.init]

    @property
    def pictures(self) -> float:
        """How many pictures are learned from; one that is only looked at counts as a third, the test has four views."""
        budget = BUDGETS[self.budget]
        looked_at = self.epochs * (budget.n_valid or 10_000) + 4 * (budget.n_test or 10_000)
        return self.epochs * (budget.n_train or 40_000) + looked_at / 3

    @property
    def lr(self) -> float:
        """The first, or for one-cycle the highest, learning rate."""
        return RECIPES[self.recipe].lr or BUDGETS[self.budget].lr[self.init]


def grid(
    budget: str,
    *,
    backbones: Iterable[str] = tuple(BACKBONES),
    image_sizes: Iterable[int] = IMAGE_SIZES,
    inits: Iterable[str] = INITS,
    **others: object,
) -> list[Experiment]:
    """Return every experiment of a budget, small pictures first; others: Experiment's further fields."""
    cells = itertools.product(image_sizes, inits, backbones)
    return [Experiment(backbone, size, init, budget, **others) for size, init, backbone in cells]
