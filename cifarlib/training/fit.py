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

    training_loss = validation_loss = loss or cross_entropy
    clip_norm = None
    if optimizer is None:
        recipe = recipe or RECIPES["writeup"]
        if lr is None:
            lr = recipe.lr or LR
        lr = real_number("lr", lr, above=0)
        steps = length_of(train_loader)
        optimizer = make_optimizer(recipe, model.parameters(), lr, fused=device.fast)
        scheduler = make_scheduler(recipe, optimizer, lr, epochs=epochs, steps_per_epoch=steps)
        clip_norm = recipe.clip_norm
        if loss is None:
            training_loss = functools.partial(cross_entropy, label_smoothing=recipe.label_smoothing)

    # what callbacks are told, and what a checkpoint keeps
    training = Training(
        model,
        optimizer,
        scheduler,
        device,
        engine=Driven(model, device, choose_engine(device)),  # on a GPU the model as a CUDA graph
        scaler=device.make_scaler(),  # keeps float16's small gradients; else it does nothing
        train_loader=train_loader,
        epochs=epochs,
    )
    callbacks = [*checked(callbacks), *(usual_callbacks() if progress else ())]
    recovery = Recovery(training, callbacks, checkpoint_of(training, checkpoint))
    recovery.resume()  # after the last epoch of the checkpoint, if there is one
    try:
        while len(training.history) < epochs and not training.should_stop:

            def one_epoch() -> dict[str, float]:
                start = time.perf_counter()
                for callback in callbacks:
                    callback.on_epoch_begin(training)
                row = {"epoch": len(training.history) + 1, "lr": optimizer.param_groups[0]["lr"]}
                row["train_loss"], row["train_accuracy"] = train_epoch(
                    training.engine,
                    batches_of(training, callbacks),  # after each step: one-cycle's rate, on_step
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
                        loss=validation_loss,
                        micro_batches=training.micro_batches,
                    )
                    _check_finite(row)
                row["seconds"] = round(time.perf_counter() - start, 2)
                move_after_epoch(scheduler, row)  # the learning rate, unless it moves each step
                return row

            # Where the epoch fails, everything is put back to how it was before it. If memory was
            # short or a worker died, the epoch is tried again; Ctrl-C and other errors are raised.
            row = recovery.complete(one_epoch)
            training.history.append(row)
            for callback in callbacks:
                callback.on_epoch_end(training)  # which may set training.should_stop
            recovery.save()  # the checkpoint, if one was asked for
    finally:
        recovery.undo_half_an_epoch()  # which a second Ctrl-C may have left
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
