"""What is asked of a run: the experiment, its budget and its recipe, and all names.

Nothing heavy is imported here, so that reading a record or asking for help takes no seconds.
"""

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import InitVar, dataclass
from typing import Any

from .utils.checks import as_list, real_number, whole_number
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
POLICIES = ("writeup", "natural", "none")  # of augmentation: see data/transforms.py
ENGINES = ("eager", "graph")  # what drives a training step: see training/engine.py
STEMS = ("imagenet", "cifar")  # the first layers: see models/backbones.py
OPTIMIZERS = ("adam", "sgd")  # see training/optim.py
SCHEDULES = ("cosine", "onecycle")  # the same

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


def _check_name(kind: str, got: object, known: Collection[str]) -> None:
    if not isinstance(got, str) or got not in known:
        raise unknown(kind, got, known)


def _rate(name: str, got: object) -> float:
    """Return a learning rate as a float; ValueError for one that moves no weight, or is none."""
    rate = real_number(name, got, above=0)
    if rate < LEAST_LR:
        raise ValueError(f"got {name} {got!r}, expected {LEAST_LR} or more: less moves no weight")
    return rate


def _set(frozen: object, values: Mapping[str, Any]) -> None:
    """Set fields of a frozen dataclass, in its __post_init__."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


@dataclass(frozen=True)
class Recipe:
    """How the weights are moved: which optimiser and which schedule of the learning rate.

    Raises ValueError for a name it does not know and for a number out of its limits.
    """

    optimizer: str = "adam"  # "adam" | "sgd", which is with Nesterov's momentum
    momentum: float = 0.9  # of sgd
    weight_decay: float = 1e-6
    batch_size: int = 64
    schedule: str = "cosine"  # "cosine" moves after each epoch | "onecycle" moves after each step
    lr: float | None = None  # the first, or for one-cycle the highest; None: the budget's
    min_lr: float = 1e-6  # where the cosine ends, or a lower rate stays where it is
    label_smoothing: float = 0.0
    clip_norm: float = 1000.0  # the write-up's longest gradient; it never bites

    def __post_init__(self) -> None:
        _check_name("optimizer", self.optimizer, OPTIMIZERS)
        _check_name("schedule", self.schedule, SCHEDULES)
        smoothing = real_number("label_smoothing", self.label_smoothing, least=0, most=1)
        numbers: dict[str, Any] = {
            "batch_size": whole_number("batch_size", self.batch_size, least=1),
            "momentum": real_number("momentum", self.momentum, least=0, most=1),
            "weight_decay": real_number("weight_decay", self.weight_decay, least=0),
            "min_lr": real_number("min_lr", self.min_lr, least=0),
            "label_smoothing": smoothing,
            "clip_norm": real_number("clip_norm", self.clip_norm, above=0),
        }
        if self.lr is not None:
            numbers["lr"] = _rate("lr", self.lr)
        _set(self, numbers)


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
    """How much a run may spend: images of each part, epochs and learning rate by init.

    More images than there are stand for all. Raises ValueError for a number out of its limits.
    """

    n_train: int | None  # pictures that are learned from; None: all
    n_valid: int | None  # pictures that validate each epoch
    n_test: int | None  # pictures that are tested once
    epochs: dict[str, int]  # by init: how often every picture is shown
    # by init: the learning rate, unless the recipe or the experiment has its own
    lr: dict[str, float]

    def __post_init__(self) -> None:
        for name in ("epochs", "lr"):
            by_init = getattr(self, name)
            if not isinstance(by_init, Mapping):
                raise ValueError(
                    f'got {name} {by_init!r}, expected a dict by init, such as {{"scratch": …}}'
                )
            for init in by_init:
                _check_name("init", init, INITS)
        checked: dict[str, Any] = {"epochs": {}, "lr": {}}
        for name in ("n_train", "n_valid", "n_test"):
            number = getattr(self, name)
            if number is not None:
                checked[name] = whole_number(name, number, least=1)
        for init, number in self.epochs.items():
            if init not in self.lr:
                raise ValueError(f"got epochs of {init} and no lr of it, expected both")
            checked["epochs"][init] = whole_number(f"epochs of {init}", number, least=1)
        for init, rate in self.lr.items():
            checked["lr"][init] = _rate(f"lr of {init}", rate)
        _set(self, checked)

    @property
    def pictures(self) -> dict[str, int]:
        """How many images of CIFAR-100 each part has: {"train": …, "valid": …, "test": …}."""
        return images_of_parts((self.n_train, self.n_valid, self.n_test))


def images_of_parts(asked: Iterable[int | None]) -> dict[str, int]:
    """Return how many images of CIFAR-100 each part has where so many are asked for; None: all."""
    counts = {}
    for (part, there), number in zip(CIFAR100_PARTS.items(), asked, strict=True):
        counts[part] = there
        if number is not None:
            counts[part] = min(number, there)
    return counts


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
        if self.init not in BUDGETS[self.budget].epochs:
            raise ValueError(
                f"got init {self.init!r}, for which the budget {self.budget!r} has no epochs:"
                f" expected {' or '.join(BUDGETS[self.budget].epochs)}"
            )
        numbers: dict[str, Any] = {
            "image_size": whole_number("image_size", self.image_size, least=1, most=MOST_PIXELS),
            "seed": whole_number("seed", self.seed, least=0, most=MOST_SEED),
        }
        if self.lr is not None:
            # one experiment, one id: 1 is 1.0, and the rate that would be taken anyway is None
            numbers["lr"] = _rate("lr", self.lr)
            if numbers["lr"] == self.default_lr:
                numbers["lr"] = None
        _set(self, numbers)

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
    if isinstance(backbone, str) and backbone in BACKBONES:
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
    backbones: str | Iterable[str] = tuple(BACKBONES),
    image_sizes: int | Iterable[int] = IMAGE_SIZES,
    inits: str | Iterable[str] = INITS,
    **others: Any,
) -> list[Experiment]:
    """Return every experiment of a budget, small pictures first; others: further fields.

    One name or number stands for a list of one.
    """
    cells = itertools.product(as_list(image_sizes), as_list(inits), as_list(backbones))
    return [Experiment(backbone, size, init, budget, **others) for size, init, backbone in cells]
