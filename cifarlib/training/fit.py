"""Training a model: the page to read first. What it calls by name is what training is."""

import functools
import math
import time
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..config import RECIPES, Recipe
from ..utils.checks import real_number, whole_number
from .callbacks import Callback, Training, batches_of, checked, length_of, usual_callbacks
from .device import Device, choose_device
from .engine import Driven, choose_engine
from .loop import Loss, evaluate, train_epoch
from .optim import make_optimizer, make_scheduler, move_after_epoch
from .recovery import Checkpoint, Recovery, checkpoint_of

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
    callbacks: Callback | Iterable[Callback] = (),
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

    train_loss = valid_loss = loss or cross_entropy
    clip_norm = None
    if optimizer is None:
        recipe = recipe or RECIPES["writeup"]
        lr = real_number("lr", recipe.lr or LR if lr is None else lr, above=0)
        steps = length_of(train_loader)
        optimizer = make_optimizer(recipe, model.parameters(), lr, fused=device.fast)
        scheduler = make_scheduler(recipe, optimizer, lr, epochs=epochs, steps_per_epoch=steps)
        clip_norm = recipe.clip_norm
        if loss is None:
            train_loss = functools.partial(cross_entropy, label_smoothing=recipe.label_smoothing)

    # what callbacks are told, and what a checkpoint keeps
    training = Training(
        model,
        optimizer,
        scheduler,
        device,
        engine=Driven(model, device, choose_engine(device)),  # the model, as a GPU is fast with it
        scaler=device.make_scaler(),  # of gradients in float16; elsewhere it does nothing
        train_loader=train_loader,
        epochs=epochs,
    )
    callbacks = [*checked(callbacks), *(usual_callbacks() if progress else ())]
    # goes on from the checkpoint, if there is one
    recovery = Recovery(training, callbacks, checkpoint_of(training, checkpoint))
    try:
        for epoch in recovery.epochs_left():

            def one_epoch(epoch: int = epoch) -> dict[str, float]:
                start = time.perf_counter()
                for callback in callbacks:
                    callback.on_epoch_begin(training)
                row = {"epoch": epoch, "lr": optimizer.param_groups[0]["lr"]}
                row["train_loss"], row["train_accuracy"] = train_epoch(
                    training.engine,
                    batches_of(training, callbacks),  # which tells them of each step
                    optimizer=optimizer,
                    device=device,
                    loss=train_loss,
                    clip_norm=clip_norm,
                    scaler=training.scaler,
                    micro_batches=training.micro_batches,
                )
                if valid_loader is not None:
                    row["valid_loss"], row["valid_accuracy"] = evaluate(
                        model,
                        valid_loader,
                        device=device,
                        loss=valid_loss,
                        micro_batches=training.micro_batches,
                    )
                    _check_finite(row)
                row["seconds"] = round(time.perf_counter() - start, 2)
                move_after_epoch(scheduler, row)  # the learning rate; one-cycle's moves each step
                return row

            # if it fails, by Ctrl-C say, the model is put back to where the epoch began, and then
            # the epoch is begun again (short memory, dead workers) or the error raised
            row = recovery.complete(one_epoch, epoch)
            training.history.append(row)
            for callback in callbacks:
                callback.on_epoch_end(training)  # which may set training.should_stop
            recovery.keep()  # writes the checkpoint
    finally:
        recovery.take_back()  # of an epoch that is half done, whatever stopped it
        training.engine.stop()
        for callback in callbacks:
            callback.on_fit_end(training)
    return training.frame


def _check_finite(row: dict[str, float]) -> None:
    """Raise FloatingPointError for a validation loss that is not finite."""
    if not math.isfinite(row["valid_loss"]):
        raise FloatingPointError(
            f"the validation loss is not finite, after steps at lr {row['lr']:g}"
        )


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
