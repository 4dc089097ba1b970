"""The training loop, in plain PyTorch, as the notebooks show it."""

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from .checkpoints import pack_state, unpack_state
from .files import atomic_path, unknown
from .machine import Machine

HISTORY = ("epoch", "lr", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "seconds")


@dataclass(frozen=True)
class Recipe:
    """How the weights are moved."""

    name: str = "writeup"
    batch_size: int = 64
    weight_decay: float = 1e-6
    label_smoothing: float = 0.0
    lr: float | None = None  # None: the budget's
    lr_end: float = 1e-6  # where the cosine ends
    clip_norm: float = 1000.0  # the write-up's; it never bites


RECIPES = {
    "writeup": Recipe(),
    "onecycle": Recipe("onecycle", batch_size=128, weight_decay=5e-4, label_smoothing=0.1, lr=0.1),
}


def train_epoch(
    model: nn.Module,
    batches: Iterable,
    *,
    optimizer: torch.optim.Optimizer,
    machine: Machine,
    scaler: torch.amp.GradScaler,
    recipe: Recipe = RECIPES["writeup"],
    pieces: int = 1,
    after_step: Callable[[], object] = lambda: None,
) -> tuple[float, float]:
    """Show the model every batch once and return (mean loss, accuracy) over all pictures seen.

    pieces: parts in which a batch goes through the model, where the memory is short; their gradients add up.
    """
    model.train()
    losses, correct, seen = [], 0, 0
    for images, labels in batches:
        images, labels = machine.prepare(images), labels.to(machine.device, non_blocking=True)
        optimizer.zero_grad()
        batch_loss = 0.0
        n = min(pieces, len(labels) // 2 or 1)  # BatchNorm needs two pictures in each
        for some, wanted in zip(images.tensor_split(n), labels.tensor_split(n), strict=True):
            with machine.autocast():
                logits = model(some)
                loss = cross_entropy(logits, wanted, label_smoothing=recipe.label_smoothing)
            scaler.scale(loss * (len(wanted) / len(labels))).backward()
            batch_loss += loss.detach() * len(wanted)
            correct += (logits.detach().argmax(1) == wanted).sum()

        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        after_step()
        losses.append(batch_loss)
        seen += len(labels)
    _check_finite(losses, optimizer)
    return float(torch.stack(losses).double().sum() / seen), int(correct) / seen


def evaluate(model: nn.Module, batches: Iterable, *, machine: Machine) -> tuple[float, float]:
    """Return (mean cross entropy, accuracy) over all pictures, without learning from them."""
    model.eval()
    total_loss, correct, seen = 0.0, 0, 0
    with torch.inference_mode():
        for images, labels in batches:
            images, labels = machine.prepare(images), labels.to(machine.device, non_blocking=True)
            with machine.autocast():
                logits = model(images)
            total_loss += cross_entropy(logits.float(), labels, reduction="sum").double()
            correct += (logits.argmax(1) == labels).sum()
            seen += len(labels)
    return float(total_loss / seen), int(correct) / seen


def _check_finite(losses: list[torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
    bad = (~torch.stack(losses).isfinite()).nonzero()  # looked at once an epoch: asking a GPU each step stalls it
    if len(bad):
        lr = optimizer.param_groups[0]["lr"]
        raise FloatingPointError(
            f"the loss is not finite from step {int(bad[0]) + 1} of {len(losses)} on, at lr {lr:g}"
        )


@dataclass
class Trainer:
    """A model on its way through `epochs`: iterate over it and each epoch's history row comes out.

    An epoch is finished or has not been: stopped within one, by Ctrl-C say, the trainer is as it was before
    it, and iterating again goes on from there. With `checkpoint` (a path) so does a new Trainer of the same
    owner, number for number. Where a GPU's memory is short, `pieces` is doubled and the epoch begun again.
    `best_state` holds the weights of the epoch with the best validation accuracy. `progress` wraps the
    training batches, to draw a bar.
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
        self.scaler = torch.amp.GradScaler(self.machine.device.type, enabled=self.machine.dtype == torch.float16)
        self._parts = {name: getattr(self, name) for name in ("model", "optimizer", "schedule", "scaler")}
        if self.checkpoint and self.checkpoint.exists():
            self._restore(self.checkpoint.read_bytes())

    def __iter__(self) -> Iterator[dict[str, float]]:
        packed = self._pack()
        for epoch in range(len(self.history) + 1, self.epochs + 1):
            row = self._one_epoch(epoch, packed)
            if row["valid_accuracy"] > max((r["valid_accuracy"] for r in self.history), default=-1):
                self.best_state = copy.deepcopy({k: v.cpu() for k, v in self.model.state_dict().items()})
            self.history.append(row)
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
        kept = f"the state after epoch {epoch - 1} is kept"
        while True:
            try:
                return self._try_epoch(epoch)
            except torch.OutOfMemoryError as error:
                short = f"epoch {epoch}: {str(error).splitlines()[0]}, two pictures at a time; {kept}"
                problem = torch.OutOfMemoryError(short) if 4 * self.pieces > self.recipe.batch_size else None
            except FloatingPointError as error:
                problem = FloatingPointError(f"epoch {epoch}: {error}; {kept}")
            except KeyboardInterrupt:
                problem = KeyboardInterrupt(f"stopped in epoch {epoch} of {self.epochs}; {kept}: ask again to go on")
            self._restore(packed)
            if problem:
                raise problem
            self.pieces *= 2

    def _try_epoch(self, epoch: int) -> dict[str, float]:
        start, lr = time.perf_counter(), self.optimizer.param_groups[0]["lr"]
        self.train_loader.batch_sampler.epoch = epoch
        trained = self.train_epoch(self.progress(self.train_loader, epoch))
        if self.recipe.name != "onecycle":
            self.schedule.step()
        validated = evaluate(self.model, self.valid_loader, machine=self.machine)
        if not math.isfinite(validated[0]):
            raise FloatingPointError(f"the validation loss is not finite, after steps at lr {lr:g}")
        seconds = round(time.perf_counter() - start, 2)
        return dict(zip(HISTORY, (epoch, lr, *trained, *validated, seconds), strict=True))

    def _pack(self) -> memoryview:
        state = {name: part.state_dict() for name, part in self._parts.items()}
        state |= {"history": self.history, "best_state": self.best_state, "pieces": self.pieces}
        return pack_state(state, owner=self.owner)

    def _restore(self, packed: bytes | memoryview) -> None:
        state = unpack_state(packed, owner=self.owner, name=str(self.checkpoint or ""))
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.history, self.best_state = state["history"], state["best_state"]
        self.pieces = max(self.pieces, state["pieces"])

    def _make_optimizer(self) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        shared = {"lr": self.lr, "weight_decay": self.recipe.weight_decay, "fused": self.machine.fast}
        if self.recipe.name == "writeup":  # Adam, a cosine that moves each epoch
            optimizer = torch.optim.Adam(parameters, **shared)
            cosine = torch.optim.lr_scheduler.CosineAnnealingLR
            return optimizer, cosine(optimizer, self.epochs, eta_min=self.recipe.lr_end)
        if self.recipe.name == "onecycle":  # SGD, one cycle that moves each step (Smith & Topin 2017)
            optimizer = torch.optim.SGD(parameters, momentum=0.9, nesterov=True, **shared)
            steps = {"epochs": self.epochs, "steps_per_epoch": len(self.train_loader)}
            cycle = torch.optim.lr_scheduler.OneCycleLR
            return optimizer, cycle(optimizer, self.lr, pct_start=0.2, cycle_momentum=False, **steps)
        raise unknown("recipe", self.recipe.name, RECIPES)

    @property
    def frame(self) -> pd.DataFrame:
        """The history so far, one row an epoch."""
        return pd.DataFrame(self.history, columns=list(HISTORY))
