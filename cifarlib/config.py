"""What is asked of a run: the experiment, its budget and its recipe, and all names.

Nothing heavy is imported here, so that reading a record or asking for help takes no seconds.
"""

import itertools
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import InitVar, dataclass
from typing import Any

from .utils.errors import unknown

# display name -> timm name; the tag behind the point says which weights are meant
BACKBONES = {
    "EfficientNet_b0": "tf_efficientnet_b0.aa_in1k",
    "ResNet18": "resnet18.tv_in1k",
    "ResNet50": "resnet50.tv_in1k",
    "SE-ResNeXt50": "legacy_seresnext50_32x4d.in1k",
    "EfficientNet_lite0": "tf_efficientnet_lite0.in1k",
}
IMAGE_SIZES = (32, 64, 128)  # pixels
MOST_PIXELS = 4096  # a side
LEAST_LR = 1e-12
MOST_SEED = 2**63 - 1  # torch's
INITS = ("scratch", "imagenet")
POLICIES = ("writeup", "natural", "none")  # of augmentation: see data/augment.py
ENGINES = ("eager", "graph")  # what drives a training step: see training/engine.py
STEMS = ("imagenet", "cifar")  # the first layers: see models/backbones.py

# of the channels red, green, blue on a 0-1 scale, as most ImageNet weights expect
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# how many pictures of CIFAR-100 each part has: fold 0 of 5 validates
CIFAR100_PARTS = {"train": 40_000, "valid": 10_000, "test": 10_000}


# what is recorded of each epoch: losses in nats, accuracies as fractions
HISTORY = (
    "epoch",
    "lr",
    "train_loss",
    "train_accuracy",
    "valid_loss",
    "valid_accuracy",
    "seconds",
)


@dataclass(frozen=True)
class Recipe:
    """How the weights are moved: which optimiser and which schedule of the learning rate."""

    optimizer: str = "adam"  # "adam" | "sgd", which is with Nesterov's momentum
    momentum: float = 0.9  # of sgd
    weight_decay: float = 1e-6
    batch_size: int = 64
    schedule: str = "cosine"  # "cosine" moves after each epoch | "onecycle" moves after each step
    lr: float | None = None  # the first, or for one-cycle the highest; None: the budget's
    min_lr: float = 1e-6  # where the cosine ends
    label_smoothing: float = 0.0
    clip_norm: float = 1000.0  # the write-up's longest gradient; it never bites


RECIPES = {
    "writeup": Recipe(),
    # one cycle of SGD (Smith & Topin 2017), as is usual for CIFAR
    "onecycle": Recipe(
        optimizer="sgd",
        weight_decay=5e-4,
        batch_size=128,
        schedule="onecycle",
        lr=0.1,
        label_smoothing=0.1,
    ),
}


@dataclass(frozen=True)
class Budget:
    """How much a run may spend: pictures of each part, epochs and learning rate by init."""

    n_train: int | None  # pictures that are learned from; None: all
    n_valid: int | None  # pictures that validate each epoch
    n_test: int | None  # pictures that are tested once
    epochs: dict[str, int]  # by init: how often every picture is shown
    # by init: the learning rate, unless the recipe or the experiment has its own
    lr: dict[str, float]

    @property
    def pictures(self) -> dict[str, int]:
        """How many pictures of CIFAR-100 each part has: {"train": …, "valid": …, "test": …}."""
        return {
            "train": self.n_train or CIFAR100_PARTS["train"],
            "valid": self.n_valid or CIFAR100_PARTS["valid"],
            "test": self.n_test or CIFAR100_PARTS["test"],
        }


BUDGETS = {
    # the write-up's scale
    "writeup": Budget(
        n_train=None,
        n_valid=None,
        n_test=None,
        epochs={"scratch": 50, "imagenet": 10},
        lr={"scratch": 1e-3, "imagenet": 1e-4},
    ),
    # a reader's own trials; 785 steps of fine-tuning need ten times the rate of 6,250
    "quick": Budget(
        n_train=10_000,
        n_valid=2_000,
        n_test=None,
        epochs={"scratch": 10, "imagenet": 5},
        lr={"scratch": 1e-3, "imagenet": 1e-3},
    ),
    # a rehearsal, whose accuracies mean nothing
    "smoke": Budget(
        n_train=400,
        n_valid=200,
        n_test=200,
        epochs={"scratch": 2, "imagenet": 1},
        lr={"scratch": 1e-3, "imagenet": 1e-3},
    ),
    # what notebook 04 asks about the learning rate: few steps
    "three": Budget(
        n_train=10_000,
        n_valid=2_000,
        n_test=None,
        epochs={"scratch": 3, "imagenet": 3},
        lr={"scratch": 1e-3, "imagenet": 1e-3},
    ),
    # what made the small bundled net: all pictures, on a laptop in an hour or two
    "short": Budget(
        n_train=None,
        n_valid=None,
        n_test=None,
        epochs={"scratch": 3, "imagenet": 3},
        lr={"scratch": 1e-3, "imagenet": 1e-3},
    ),
    # what notebook 06 gives a net that is made for small pictures
    "twelve": Budget(
        n_train=None,
        n_valid=None,
        n_test=None,
        epochs={"scratch": 12, "imagenet": 12},
        lr={"scratch": 1e-3, "imagenet": 1e-3},
    ),
}
COMPARED = ("writeup", "quick", "smoke")  # the budgets of the comparison, the largest first


@dataclass(frozen=True)
class Experiment:
    """One cell of the comparison: which net, on which pictures, from which start, with which means.

    Raises ValueError that names the nearest for a name it does not know.
    """

    backbone: str  # a name in BACKBONES, or any of timm's
    image_size: int  # pixels a side, to which pictures are resized
    init: str  # "scratch": random weights | "imagenet": pretrained ones
    budget: str  # a name in BUDGETS
    seed: int = 42  # of the weights and the augmentation
    recipe: str = "writeup"  # a name in RECIPES
    policy: str = "writeup"  # a name in POLICIES
    stem: str = "imagenet"  # a name in STEMS
    lr: float | None = None  # the learning rate; None: the recipe's, else the budget's
    # False where the name was checked before, as a record's was: asking timm takes seconds
    check_backbone: InitVar[bool] = True

    def __post_init__(self, check_backbone: bool) -> None:
        if check_backbone:
            timm_name(self.backbone)
        _check_name("init", self.init, INITS)
        _check_name("budget", self.budget, BUDGETS)
        _check_name("recipe", self.recipe, RECIPES)
        _check_name("policy", self.policy, POLICIES)
        _check_name("stem", self.stem, STEMS)
        _check_whole_number("image_size", self.image_size, least=1, most=MOST_PIXELS)
        _check_whole_number("seed", self.seed, least=0, most=MOST_SEED)
        if self.lr is not None:
            _check_rate(self.lr)
            # one experiment, one id: 1 is 1.0, and the rate that would be taken anyway is None
            lr: float | None = float(self.lr)
            if lr == self.default_lr:
                lr = None
            object.__setattr__(self, "lr", lr)

    @property
    def id(self) -> str:
        """Its name: "ResNet18-32px-scratch-quick"; fields at their default are left out."""
        parts = [self.backbone, f"{self.image_size}px", self.init, self.budget]
        if self.seed != 42:
            parts.append(f"seed_{self.seed}")
        if self.recipe != "writeup":
            parts.append(f"recipe_{self.recipe}")
        if self.policy != "writeup":
            parts.append(f"policy_{self.policy}")
        if self.stem != "imagenet":
            parts.append(f"stem_{self.stem}")
        if self.lr is not None:
            parts.append(f"lr_{self.lr}")
        return "-".join(parts)

    @property
    def epochs(self) -> int:
        """How many epochs the budget gives."""
        return BUDGETS[self.budget].epochs[self.init]

    @property
    def default_lr(self) -> float:
        """The recipe's learning rate, else the budget's."""
        return RECIPES[self.recipe].lr or BUDGETS[self.budget].lr[self.init]

    @property
    def learning_rate(self) -> float:
        """The learning rate of the first step, or for one-cycle the highest."""
        return self.lr or self.default_lr

    def work(self, own_pictures: Mapping[str, int] | None = None) -> float:
        """Return how many pictures are learned from in all epochs, as a measure of time.

        One that is only looked at counts as a third; the test looks at four views of each.
        own_pictures: how many of one's own each split has; None is CIFAR-100.
        """
        counts = dict(BUDGETS[self.budget].pictures)
        if own_pictures is not None:
            held_out = own_pictures["train"] // 5  # one fold of five validates
            counts["train"] = min(counts["train"], own_pictures["train"] - held_out)
            counts["valid"] = min(counts["valid"], held_out)
            counts["test"] = min(counts["test"], own_pictures["test"])
        learned = self.epochs * counts["train"]
        looked_at = self.epochs * counts["valid"] + 4 * counts["test"]
        return learned + looked_at / 3


def timm_name(backbone: str) -> str:
    """Return timm's name for a display name or a timm name; ValueError if unknown."""
    if backbone in BACKBONES:
        return BACKBONES[backbone]
    import timm  # takes seconds, so only where a name is not of the series

    if not isinstance(backbone, str) or not timm.is_model(backbone):
        raise unknown("backbone", backbone, [*BACKBONES, *timm.list_models()])
    architecture, point, _ = backbone.partition(".")
    known_tags = timm.list_pretrained(architecture)
    if point and backbone not in known_tags:
        raise unknown("backbone", backbone, known_tags or [architecture])
    return backbone


def grid(
    budget: str,
    *,
    backbones: Iterable[str] = tuple(BACKBONES),
    image_sizes: Iterable[int] = IMAGE_SIZES,
    inits: Iterable[str] = INITS,
    **others: Any,
) -> list[Experiment]:
    """Return every experiment of a budget, small pictures first; others: further fields."""
    cells = itertools.product(image_sizes, inits, backbones)
    return [Experiment(backbone, size, init, budget, **others) for size, init, backbone in cells]


def _check_name(kind: str, got: object, known: Collection[str]) -> None:
    if got not in known:
        raise unknown(kind, got, known)


def _check_whole_number(name: str, got: object, *, least: int, most: int) -> None:
    if not isinstance(got, int) or isinstance(got, bool) or not least <= got <= most:
        raise ValueError(f"got {name} {got!r}, expected a whole number, {least} to {most}")


def _check_rate(got: object) -> None:
    if not isinstance(got, float | int) or isinstance(got, bool) or not 0 < got < math.inf:
        raise ValueError(f"got lr {got!r}, expected a number above 0")
    if got < LEAST_LR:
        raise ValueError(f"got lr {got!r}, expected {LEAST_LR} or more: less moves no weight")
