"""Training a model: the page to read first. What it calls by name is what training is."""

import functools
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from ..config import RECIPES, Recipe
from ..utils.checks import whole_number
from ..utils.files import expanded
from .callbacks import Callback, Training, batches_of, length_of, usual_callbacks
from .device import Device, choose_device
from .engine import Driven, choose_engine
from .loop import Loss, evaluate, train_epoch
from .optim import make_optimizer, make_scheduler, moves_each_step
from .recovery import Checkpoint, Recovery

LR = 1e-3  # where neither the caller nor the recipe has a rate


def fit(  # noqa: PLR0913
    model: nn.Module,
    train_loader: Iterable,
    valid_loader: Iterable | None = None,
    *,
    epochs: int,
    lr: float | None = None,
    recipe: Recipe | None = None,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
    device: Device | None = None,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | Path | Checkpoint | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Train a model and return its history: epoch, lr, train_loss, …, seconds; a row an epoch.

    Loaders: any iterables of (images uint8 or float (B, 3, S, S), labels int64 (B,)); without one
    for validation its columns are left out. The learning rate and what goes with it are the
    recipe's (the write-up's: Adam on a cosine) from `lr` on, or those of an optimizer, with a
    scheduler if that is handed over too: then nothing is clipped, smoothed or scheduled that was
    not asked for. loss: (logits, labels) to their mean; it gives the validation loss too.
    checkpoint: a file that is kept after each epoch; the same call goes on from it. The last
    weights stay in the model: BestWeights, a callback, keeps the best.

    Raises ValueError for what is said twice and for a checkpoint of another training,
    FloatingPointError for a loss that is not finite, KeyboardInterrupt and torch.OutOfMemoryError
    that say what is kept: an epoch is finished or has not been (see recovery.py).
    """
    epochs = whole_number("epochs", epochs, least=1)
    _check_said_once(lr, recipe, optimizer, scheduler)
    device = device or choose_device(model)
    device.place(model)

    clip_norm = None
    training_loss = loss or cross_entropy
    if optimizer is None:
        recipe = recipe or RECIPES["writeup"]
        lr = lr or recipe.lr or LR
        steps = length_of(train_loader)
        optimizer = make_optimizer(recipe, model.parameters(), lr, fused=device.fast)
        scheduler = make_scheduler(recipe, optimizer, lr, epochs=epochs, steps_per_epoch=steps)
        clip_norm = recipe.clip_norm
        if loss is None:
            training_loss = functools.partial(cross_entropy, label_smoothing=recipe.label_smoothing)

    told = [*callbacks, *(usual_callbacks() if progress else ())]
    training = Training(
        model,
        optimizer,
        scheduler,
        device,
        engine=Driven(model, device, choose_engine(device)),
        scaler=device.make_scaler(),
        train_loader=train_loader,
        epochs=epochs,
    )
    recovery = Recovery(training, told, _as_checkpoint(checkpoint, training))
    try:
        for epoch in recovery.epochs_left():

            def one_epoch(epoch: int = epoch) -> dict[str, float]:
                start = time.perf_counter()
                _tell_the_loader(training.train_loader, epoch)
                for callback in told:
                    callback.on_epoch_begin(training)
                row = {"epoch": epoch, "lr": optimizer.param_groups[0]["lr"]}
                row["train_loss"], row["train_accuracy"] = train_epoch(
                    training.engine,
                    batches_of(training, told),
                    optimizer=optimizer,
                    device=device,
                    loss=training_loss,
                    clip_norm=clip_norm,
                    scaler=training.scaler,
                    micro_batches=training.micro_batches,
                )
                if valid_loader is not None:
                    row["valid_loss"], row["valid_accuracy"] = evaluate(
                        model,
                        valid_loader,
                        device=device,
                        loss=loss or cross_entropy,
                        micro_batches=training.micro_batches,
                    )
                row["seconds"] = round(time.perf_counter() - start, 2)
                _move_rate(scheduler, row)
                return row

            # whatever goes wrong in it: the epoch is begun again, or has not been
            row = recovery.complete(one_epoch, epoch)
            training.history.append(row)
            for callback in told:
                callback.on_epoch_end(training)
            recovery.keep()  # in the checkpoint
    finally:
        recovery.take_back()
        training.engine.stop()
        for callback in told:
            callback.on_fit_end(training)
    return training.frame


def _move_rate(scheduler: Any, row: dict[str, float]) -> None:
    """Move the learning rate on at an epoch's end, unless it moves at each step."""
    if scheduler is None or moves_each_step(scheduler):
        return
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(row.get("valid_loss", row["train_loss"]))
    else:
        scheduler.step()


def _check_said_once(
    lr: float | None,
    recipe: Recipe | None,
    optimizer: Optimizer | None,
    scheduler: LRScheduler | None,
) -> None:
    """Raise ValueError where the optimizer is told twice, or a scheduler has no optimizer."""
    if recipe is not None and not isinstance(recipe, Recipe):
        raise ValueError(f"got recipe {recipe!r}, expected a Recipe, such as RECIPES['writeup']")
    if optimizer is None and scheduler is not None:
        raise ValueError("got a scheduler without its optimizer, expected both or a recipe")
    if optimizer is not None and (lr is not None or recipe is not None):
        raise ValueError("got an optimizer and an lr or a recipe, expected one of the two ways")


def _tell_the_loader(loader: Any, epoch: int) -> None:
    """Tell a loader of make_loader which epoch it is: its order and augmentation follow from it."""
    sampler: Any = getattr(loader, "batch_sampler", None)
    if hasattr(sampler, "epoch"):
        sampler.epoch = epoch


def _as_checkpoint(
    checkpoint: str | Path | Checkpoint | None,
    training: Training,
) -> Checkpoint | None:
    """Return the checkpoint with whose training it is: by a path, all that shapes this one."""
    if checkpoint is None or isinstance(checkpoint, Checkpoint):
        return checkpoint
    group = training.optimizer.param_groups[0]
    owner: dict[str, Any] = {
        "network": type(training.model).__name__,
        "epochs": training.epochs,
        "steps": training.steps,
        "seed": getattr(getattr(training.train_loader, "dataset", None), "seed", None),
        "optimizer": type(training.optimizer).__name__,
        "scheduler": type(training.scheduler).__name__,
    }
    for name, value in group.items():
        if isinstance(value, int | float | bool):
            owner[name] = value
    return Checkpoint(expanded(checkpoint), owner)
