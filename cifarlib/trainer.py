"""A model's way through its epochs, which no accident can spoil: each is finished or has not been."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader

from .checkpoints import pack_state, unpack_state
from .files import atomic_path, unknown
from .machine import Machine
from .training import RECIPES, Recipe, evaluate, train_epoch

HISTORY = ("epoch", "lr", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "seconds")


@dataclass
class Trainer:
    """A model on its way through `epochs`: iterate over it and each epoch's history row comes out.

    An epoch is finished or has not been: stopped within one, by Ctrl-C say, the trainer is as it was before
    it, and iterating again goes on from there. With `checkpoint` (a path) so does a new Trainer of the same
    owner, number for number. Where a GPU's memory is short, `pieces` is doubled and the epoch begun again.
    `best_state` holds the weights of the epoch with the best validation accuracy. `progress` wraps the
    training batches, to draw a bar. An iteration raises FloatingPointError for a loss that is not finite,
    KeyboardInterrupt and torch.OutOfMemoryError, each saying what is kept; ValueError for a checkpoint of another run.
    """

    model: nn.Module
    train_loader: DataLoader
    valid_loader: DataLoader
    machine: Machine
    epochs: int
    lr: float
    recipe: Recipe = RECIPES["writeup"]
    checkpoint: Path | None = None
    owner: str = ""
    progress: Callable[[Iterable, int], Iterable] = lambda batches, epoch: batches
    pieces: int = 1
    history: list[dict[str, float]] = field(default_factory=list)
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.machine.place(self.model)
        self.optimizer, self.schedule = self._make_optimizer()
        self._gather_parts()
        if self.checkpoint and self.checkpoint.exists():
            self._restore(self.checkpoint.read_bytes())

    def __iter__(self) -> Iterator[dict[str, float]]:
        packed = self._pack()
        for epoch in range(len(self.history) + 1, self.epochs + 1):
            row = self._one_epoch(epoch, packed)
            packed = self._pack()
            if self.checkpoint:
                with atomic_path(self.checkpoint) as temporary:
                    temporary.write_bytes(packed)
            yield row

    def train_epoch(self, batches: Iterable) -> tuple[float, float]:
        """Run train_epoch once over `batches` with this trainer's parts."""
        tools = {"optimizer": self.optimizer, "machine": self.machine, "scaler": self.scaler, "recipe": self.recipe}
        each_step = self.schedule.step if self.recipe.name == "onecycle" else lambda: None
        return train_epoch(self.model, batches, **tools, pieces=self.pieces, after_step=each_step)

    def _one_epoch(self, epoch: int, packed: bytes | memoryview) -> dict[str, float]:
        while True:
            try:
                return self._try_epoch(epoch)
            except BaseException as error:  # whatever it is, the epoch has not been
                problem = self._explain(error, epoch)
            self._restore(packed)
            if problem:
                raise problem
            self.pieces *= 2

    def _explain(self, error: BaseException, epoch: int) -> BaseException | None:
        """Return what to raise for an error within an epoch, or None for memory that halving the batch may spare."""
        kept = f"the state after epoch {epoch - 1} is kept"
        if isinstance(error, KeyboardInterrupt):
            return KeyboardInterrupt(f"stopped in epoch {epoch} of {self.epochs}; {kept}: ask again to go on")
        if isinstance(error, FloatingPointError):
            return FloatingPointError(f"epoch {epoch}: {error}; {kept}")
        # torch.OutOfMemoryError, or what Apple's GPUs and drivers raise instead
        if not isinstance(error, RuntimeError) or "out of memory" not in str(error):
            return error
        short = f"epoch {epoch}: {str(error).splitlines()[0]}, two pictures at a time; {kept}"
        return torch.OutOfMemoryError(short) if 4 * self.pieces > self.recipe.batch_size else None

    def _try_epoch(self, epoch: int) -> dict[str, float]:
        start, lr = time.perf_counter(), self.optimizer.param_groups[0]["lr"]
        self.train_loader.batch_sampler.epoch = epoch
        trained = self.train_epoch(self.progress(self.train_loader, epoch))
        if self.recipe.name != "onecycle":
            self.schedule.step()
        validated = evaluate(self.model, self.valid_loader, machine=self.machine, pieces=self.pieces)
        if not math.isfinite(validated[0]):
            raise FloatingPointError(f"the validation loss is not finite, after steps at lr {lr:g}")
        seconds = round(time.perf_counter() - start, 2)
        row = dict(zip(HISTORY, (epoch, lr, *trained, *validated, seconds), strict=True))
        if row["valid_accuracy"] > max((r["valid_accuracy"] for r in self.history), default=-1):
            self.best_state = {k: v.detach().to("cpu", copy=True) for k, v in self.model.state_dict().items()}
        self.history.append(row)
        return row

    def _pack(self) -> memoryview:
        state = {name: part.state_dict() for name, part in self._parts.items()}
        state |= {"history": self.history, "best_state": self.best_state, "pieces": self.pieces}
        return pack_state(state, owner=self.owner)

    def _restore(self, packed: bytes | memoryview) -> None:
        state = unpack_state(packed, owner=self.owner, name=str(self.checkpoint or ""))
        self._gather_parts()  # the old scaler may have stopped half-way through a step
        for name, part in self._parts.items():
            if state[name]:  # a scaler at rest has no state
                part.load_state_dict(state[name])
        self.history, self.best_state = state["history"], state["best_state"]
        self.pieces = max(self.pieces, state["pieces"])

    def _gather_parts(self) -> None:
        """Make a scaler, and collect what a checkpoint holds."""
        self.scaler = torch.amp.GradScaler(self.machine.device.type, enabled=self.machine.dtype == torch.float16)
        self._parts = {name: getattr(self, name) for name in ("model", "optimizer", "schedule", "scaler")}

    def _make_optimizer(self) -> tuple[torch.optim.Optimizer, lr_scheduler.LRScheduler]:
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        shared = {"lr": self.lr, "weight_decay": self.recipe.weight_decay, "fused": self.machine.fast}
        if self.recipe.name == "writeup":  # Adam, a cosine that moves each epoch
            optimizer = torch.optim.Adam(parameters, **shared)
            return optimizer, lr_scheduler.CosineAnnealingLR(optimizer, self.epochs, eta_min=self.recipe.lr_end)
        if self.recipe.name == "onecycle":  # SGD, one cycle that moves each step (Smith & Topin 2017)
            optimizer = torch.optim.SGD(parameters, momentum=0.9, nesterov=True, **shared)
            shape = {"steps_per_epoch": len(self.train_loader), "pct_start": 0.2, "cycle_momentum": False}
            return optimizer, lr_scheduler.OneCycleLR(optimizer, self.lr, epochs=self.epochs, **shape)
        raise unknown("recipe", self.recipe.name, RECIPES)

    @property
    def frame(self) -> pd.DataFrame:
        """The history so far, one row an epoch."""
        return pd.DataFrame(self.history, columns=list(HISTORY))
