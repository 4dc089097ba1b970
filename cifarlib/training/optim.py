"""The optimiser and the learning-rate schedule that a Recipe names."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from ..config import Recipe
from ..utils.checks import whole_number


def make_optimizer(
    recipe: Recipe,
    parameters: Iterable[nn.Parameter],
    lr: float,
    *,
    fused: bool = True,
) -> Optimizer:
    """Return the recipe's optimiser for the parameters that learn.

    fused: all parameters in one pass, which is faster; False is PyTorch as it comes.
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
    return torch.optim.SGD(
        trainable,
        lr=lr,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,  # torch refuses Nesterov's way where there is no momentum
        weight_decay=recipe.weight_decay,
        fused=fused,
    )


def make_scheduler(
    recipe: Recipe,
    optimizer: Optimizer,
    lr: float,
    *,
    epochs: int,
    steps_per_epoch: int | None,
) -> LRScheduler:
    """Return the recipe's schedule of the learning rate, which whoever trains moves.

    See moves_each_step. The cosine never climbs: a rate below the recipe's min_lr stays as it is.
    Raises ValueError for one-cycle where nobody knows how many steps an epoch has.
    """
    if recipe.schedule == "cosine":
        floor = min(recipe.min_lr, lr)
        return lr_scheduler.CosineAnnealingLR(optimizer, epochs, eta_min=floor)
    if steps_per_epoch is None:
        raise ValueError("got a loader without a length, and one-cycle must know an epoch's steps")
    return lr_scheduler.OneCycleLR(
        optimizer,
        lr,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        pct_start=0.2,
        cycle_momentum=False,
    )


def moves_each_step(scheduler: LRScheduler | None) -> bool:
    """Return whether a schedule moves after each step; else it moves after each epoch."""
    return isinstance(scheduler, lr_scheduler.OneCycleLR | lr_scheduler.CyclicLR)


def move_after_epoch(scheduler: Any, row: dict[str, float]) -> None:
    """Move the learning rate on at an epoch's end, unless it moves at each step.

    row: of the epoch; one that waits for a plateau looks at its validation loss.
    """
    if scheduler is None or moves_each_step(scheduler):
        return
    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
        scheduler.step(row.get("valid_loss", row["train_loss"]))
    else:
        scheduler.step()


def cosine(lr: float, epochs: int, *, min_lr: float = Recipe.min_lr) -> np.ndarray:
    """Return each epoch's learning rate (epochs,) on the cosine's way from `lr` towards `min_lr`.

    A rate below min_lr stays as it is. Source: Loshchilov & Hutter 2017, without restarts.
    """
    epochs = whole_number("epochs", epochs, least=1)
    t = np.arange(epochs)
    min_lr = min(min_lr, lr)
    return min_lr + (lr - min_lr) * (1 + np.cos(np.pi * t / epochs)) / 2
