"""What is told of a training as it goes: a bar, curves, and whatever a reader wants to know."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..utils.progress import in_notebook, progress_bar
from .device import Device
from .engine import Driven
from .optim import moves_each_step


@dataclass
class Training:
    """What is trained, with what, and how far it is: what callbacks are told."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler | None  # of the learning rate
    device: Device
    engine: Driven  # the model, as it is driven in training
    scaler: torch.amp.GradScaler
    train_loader: Iterable
    epochs: int
    history: list[dict[str, float]] = field(default_factory=list)  # a row an epoch that is done
    micro_batches: int = 1  # parts in which a batch goes through the model
    batch_size: int = 0  # pictures of the largest batch so far
    should_stop: bool = False  # a callback sets it to end the training after this epoch

    @property
    def steps(self) -> int | None:
        """How many steps an epoch has; None where the loader does not know."""
        return length_of(self.train_loader)

    @property
    def frame(self) -> pd.DataFrame:
        """The history so far, a row an epoch."""
        return pd.DataFrame(self.history)


class Callback:
    """One who is told of a training; a subclass takes up what it wants to know.

    Two of a reader's own: early stopping, and a log that a spreadsheet reads.

        class EarlyStopping(cl.Callback):
            def on_epoch_end(self, training):
                losses = list(training.frame.valid_loss)
                if losses.index(min(losses)) < len(losses) - 5:
                    training.should_stop = True

        class CSVLog(cl.Callback):
            def on_epoch_end(self, training):
                training.frame.to_csv("log.csv", index=False)

        cl.fit(model, train_loader, valid_loader, epochs=50, callbacks=[EarlyStopping(), CSVLog()])

    One that gathers something over the epochs keeps it in a checkpoint by state_dict() and
    load_state_dict(state), of tensors, numbers, texts, lists and dicts.
    """

    def on_epoch_begin(self, training: Training) -> None:
        """Be told that an epoch begins, or is begun again after a mishap."""

    def on_step(self, training: Training) -> None:
        """Be told that the weights have moved by a batch."""

    def on_epoch_end(self, training: Training) -> None:
        """Be told that an epoch is done: its row is the last of training.history."""

    def on_fit_end(self, training: Training) -> None:
        """Be told that the training ends, also by Ctrl-C or an error."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint is to keep."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""


def checked(callbacks: Callback | Iterable[Callback]) -> list[Callback]:
    """Return callbacks as a list, one alone too; ValueError for what is none."""
    if isinstance(callbacks, Callback):
        return [callbacks]
    callbacks = list(callbacks)
    for callback in callbacks:
        if isinstance(callback, type):
            name = callback.__name__
            raise ValueError(f"got the class {name} as callback, expected one made of it: {name}()")
        if not isinstance(callback, Callback):
            raise ValueError(f"got {callback!r} as callback, expected a Callback")
    return callbacks


def length_of(loader: Any) -> int | None:
    """Return how many batches a loader has; None where it does not know."""
    try:
        return len(loader)
    except TypeError:
        return None


def batches_of(training: Training, callbacks: Iterable[Callback]) -> Iterator:
    """Yield an epoch's batches; what follows each step comes when the next is asked for.

    That is a schedule that moves at each step, and callbacks that are told. A loader of make_loader
    is told which epoch it is: its order and augmentation follow from that.
    """
    sampler: Any = getattr(training.train_loader, "batch_sampler", None)
    if hasattr(sampler, "epoch"):
        sampler.epoch = len(training.history) + 1
    for images, labels in training.train_loader:
        training.batch_size = max(training.batch_size, len(labels))
        yield images, labels
        if training.scheduler is not None and moves_each_step(training.scheduler):
            training.scheduler.step()
        for callback in callbacks:
            callback.on_step(training)


class ProgressBar(Callback):
    """A bar that counts steps, and epochs in words.

    name: what stands before it. line: of the terminal, where several bars are drawn; None: alone.
    """

    def __init__(self, name: str = "fit", *, line: int | None = None) -> None:
        self.name = name
        self.line = line
        self.bar: Any = None

    def on_epoch_begin(self, training: Training) -> None:
        """Draw the bar; after an epoch that is begun again, put it back."""
        steps = training.steps
        done = len(training.history) * (steps or 0)
        if self.bar is None:
            self.bar = progress_bar(
                desc=self.name,
                unit="step",
                total=steps and steps * training.epochs,
                initial=done,
                position=self.line,
                leave=self.line is None,  # one bar among several vanishes when it is done
            )
        elif steps:
            self.bar.n = done

    def on_step(self, training: Training) -> None:
        """Move the bar by a step."""
        self.bar.update()

    def on_epoch_end(self, training: Training) -> None:
        """Say which epoch is done, and how good its validation was."""
        row = training.history[-1]
        words = f"epoch {row['epoch']}/{training.epochs}"
        if "valid_accuracy" in row:
            words += f", valid {row['valid_accuracy']:.1%}"
        if training.micro_batches > 1:
            words += f", batches in {training.micro_batches} parts"
        self.bar.set_postfix_str(words)

    def on_fit_end(self, training: Training) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()


class LiveCurves(Callback):
    """Loss and accuracy by epoch in one figure, drawn anew below the cell after each epoch."""

    def __init__(self) -> None:
        self.shown: Any = None  # what IPython puts the next figure in the place of

    def on_epoch_end(self, training: Training) -> None:
        """Draw the curves so far."""
        from IPython.display import display  # only a notebook draws
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator, PercentFormatter

        history = training.frame
        # not pyplot's, which the end of the cell would show once more
        figure = Figure(figsize=(8, 2.6), layout="constrained")
        axes = figure.subplots(1, 2)
        for axis, measure in zip(axes, ("loss", "accuracy"), strict=True):
            for part, line in (("train", ".--"), ("valid", ".-")):
                if f"{part}_{measure}" in history:
                    axis.plot(history.epoch, history[f"{part}_{measure}"], line, label=part)
            axis.set(xlabel="epoch", ylabel=measure, xlim=(0.8, training.epochs + 0.2))
            axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes[1].yaxis.set_major_formatter(PercentFormatter(1))
        axes[0].legend()
        if self.shown is None:
            self.shown = display(figure, display_id=True)
        else:
            self.shown.update(figure)


class BestWeights(Callback):
    """The weights of the epoch with the best validation accuracy, kept on the CPU."""

    def __init__(self) -> None:
        self.epoch = 0  # the best one; 0: none yet
        self.accuracy = -1.0  # of its validation, a fraction
        self.weights: dict[str, torch.Tensor] = {}

    def on_epoch_end(self, training: Training) -> None:
        """Keep the weights if this epoch is the best so far."""
        row = training.history[-1]
        if "valid_accuracy" not in row:
            raise ValueError("BestWeights needs a validation loader, by which weights are the best")
        if row["valid_accuracy"] > self.accuracy:
            self.epoch = int(row["epoch"])
            self.accuracy = row["valid_accuracy"]
            self.weights = copy_to_cpu(training.model.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return the best epoch and its weights."""
        return {"epoch": self.epoch, "accuracy": self.accuracy, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the best epoch of a training that was stopped."""
        self.epoch = state["epoch"]
        self.accuracy = state["accuracy"]
        self.weights = state["weights"]


def usual_callbacks(name: str = "fit") -> list[Callback]:
    """Return what a reader sees of a training: a bar, and in a notebook curves."""
    callbacks: list[Callback] = [ProgressBar(name)]
    if in_notebook():
        callbacks.append(LiveCurves())
    return callbacks


def copy_to_cpu(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a copy of a model's tensors that further steps do not change."""
    copies = {}
    for name, tensor in state.items():
        copies[name] = tensor.detach().to("cpu", copy=True)
    return copies
