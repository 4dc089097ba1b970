"""The optimiser and the learning-rate schedule that a Recipe names."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from ..config import Recipe
from ..utils.errors import unknown

OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("cosine", "onecycle")


def make_optimizer(
    recipe: Recipe,
    parameters: Iterable[nn.Parameter],
    lr: float,
    *,
    fused: bool = True,
) -> Optimizer:
    """Return the recipe's optimiser for the parameters that learn.

    fused: all parameters in one pass, which is faster; False is PyTorch as it comes. Raises
    ValueError for an optimiser it does not know.
    """
    # frozen parameters get no gradient, so the optimiser keeps nothing for them
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    if recipe.optimizer == "adam":
        return torch.optim.Adam(
            trainable,
            lr=lr,
            weight_decay=recipe.weight_decay,
            fused=fused,
        )
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            trainable,
            lr=lr,
            momentum=recipe.momentum,
            nesterov=True,
            weight_decay=recipe.weight_decay,
            fused=fused,
        )
    raise unknown("optimizer", recipe.optimizer, OPTIMIZERS)


def make_scheduler(
    recipe: Recipe,
    optimizer: Optimizer,
    lr: float,
    *,
    epochs: int,
    steps_per_epoch: int,
) -> lr_scheduler.LRScheduler:
    """Return the recipe's schedule of the learning rate; ValueError for one it does not know.

    Whoever trains moves it: see moves_each_step.
    """
    if recipe.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, epochs, eta_min=recipe.min_lr)
    if recipe.schedule == "onecycle":
        return lr_scheduler.OneCycleLR(
            optimizer,
            lr,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            pct_start=0.2,
            cycle_momentum=False,
        )
    raise unknown("schedule", recipe.schedule, SCHEDULES)


def moves_each_step(recipe: Recipe) -> bool:
    """Say whether the recipe's schedule moves after each step; else it moves after each epoch."""
    return recipe.schedule == "onecycle"


def cosine(lr: float, epochs: int, *, min_lr: float = Recipe.min_lr) -> np.ndarray:
    """Return each epoch's learning rate (epochs,) on the cosine's way from `lr` towards `min_lr`.

    Source: Loshchilov & Hutter 2017, without restarts.
    """
    t = np.arange(epochs)
    return min_lr + (lr - min_lr) * (1 + np.cos(np.pi * t / epochs)) / 2
