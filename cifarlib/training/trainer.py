"""A model's way through its epochs, each of which is finished or has not been."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader

from ..config import HISTORY, RECIPES, Recipe
from ..data.loader import WorkersLost, without_workers
from ..models.modes import begin_training
from ..utils.checks import real_number, whole_number
from ..utils.errors import first_line, lacks_memory, last_line
from ..utils.files import write_bytes
from ..utils.progress import progress_bar, say
from ..utils.signals import interrupt_waits
from .checkpoint import ADVICE, Owner, pack_state, unpack_state
from .device import Device
from .engine import Driven, choose_engine
from .loop import evaluate, train_epoch
from .optim import make_optimizer, make_scheduler, moves_each_step
from .sharing import Sharing


def _all_batches(batches: Iterable, epoch: int) -> Iterable:
    return batches


@dataclass
class Trainer:
    """A model on its way through `epochs`: iterate over it and each epoch's history row comes out.

    An epoch is finished or has not been: stopped within one, by Ctrl-C say, the trainer is as it
    was before it, and iterating again goes on from there. With `checkpoint` (a path) so does a new
    Trainer of the same owner, number for number. Where a GPU's memory is short, `micro_batches` is
    doubled and the epoch begun again; where the loader's workers die, the process itself loads the
    pictures from there on. `best_state` holds the weights of the epoch with the best
    validation accuracy. `progress` wraps the training batches, to draw a bar.

    An iteration raises FloatingPointError for a loss that is not finite, KeyboardInterrupt and
    torch.OutOfMemoryError, each saying what is kept; ValueError for a checkpoint of another run.
    """

    model: nn.Module
    train_loader: DataLoader
    valid_loader: DataLoader
    device: Device
    epochs: int
    lr: float  # the first, or for one-cycle the highest
    recipe: Recipe = RECIPES["writeup"]
    checkpoint: Path | None = None  # where the state is kept after each epoch
    owner: Owner = ""  # whose state that is: another's is refused
    # on what it is trained, for the record: device, precision, versions, code
    surroundings: dict[str, Any] = field(default_factory=dict)
    progress: Callable[[Iterable, int], Iterable] = _all_batches  # wraps an epoch's batches
    engine: str | None = None  # what drives a step: see training/engine.py; None: choose_engine's
    micro_batches: int = 1  # parts in which a batch goes through the model
    history: list[dict[str, float]] = field(default_factory=list)  # a row an epoch: see HISTORY
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)  # of the best validated epoch

    def __post_init__(self) -> None:
        self.epochs = whole_number("epochs", self.epochs, least=1)
        self.micro_batches = whole_number("micro_batches", self.micro_batches, least=1)
        self.lr = real_number("lr", self.lr, least=0)
        if not isinstance(self.recipe, Recipe):
            raise ValueError(
                f"got recipe {self.recipe!r}, expected a Recipe, such as RECIPES['writeup']"
            )
        self.device.place(self.model)
        self.driven = Driven(
            self.model,
            self.device,
            self.engine or choose_engine(self.device),
            batch_size=self.recipe.batch_size,
        )
        self.optimizer = make_optimizer(
            self.recipe,
            self.model.parameters(),
            self.lr,
            fused=self.device.fast,
        )
        self.scheduler = make_scheduler(
            self.recipe,
            self.optimizer,
            self.lr,
            epochs=self.epochs,
            steps_per_epoch=len(self.train_loader),
        )
        self.scaler = self.device.make_scaler()
        # the state before an epoch that was begun and not yet finished or taken back
        self._before: bytes | memoryview | None = None
        self.engines: list[str] = []  # that have driven epochs, in the order of their first
        # who else uses the machine meanwhile
        self.sharing = Sharing()
        # the surroundings, and from which epoch on: several where they changed between two stops
        self.stretches = [self._stretch()]
        self.resume()

    def resume(self) -> None:
        """Go on from the checkpoint of a run that was stopped, if there is one."""
        if not self.checkpoint or not self.checkpoint.exists():
            return
        self._restore(self.checkpoint.read_bytes())
        before = self.stretches[-1]
        if any(before.get(name) != value for name, value in self.surroundings.items()):
            self.stretches.append(self._stretch())

    def _stretch(self) -> dict[str, Any]:
        """Return the surroundings of the epochs from the next one on."""
        return {
            "from_epoch": len(self.history) + 1,
            "started": utc_now(),
            **self.surroundings,
        }

    def __iter__(self) -> Iterator[dict[str, float]]:
        if self._before is not None:  # a second Ctrl-C came before the first was dealt with
            self._restore(self._before)
        packed = self._pack()  # what is restored if the next epoch is stopped
        with self.sharing:
            for epoch in range(len(self.history) + 1, self.epochs + 1):
                row = self._one_epoch(epoch, packed)
                self.sharing.look()
                packed = self._pack()
                if self.checkpoint:
                    write_bytes(self.checkpoint, packed)
                yield row

    @property
    def frame(self) -> pd.DataFrame:
        """The history so far, one row an epoch."""
        return pd.DataFrame(self.history, columns=list(HISTORY))

    def train_epoch(self, batches: Iterable) -> tuple[float, float]:
        """Run train_epoch once over `batches` with this trainer's parts."""
        begin_training(self.model)
        self.driven.training = self.model.training  # what drives the net is in the net's mode
        step_scheduler = None
        if moves_each_step(self.recipe):
            step_scheduler = self.scheduler
        return train_epoch(
            self.driven,
            batches,
            optimizer=self.optimizer,
            device=self.device,
            scaler=self.scaler,
            recipe=self.recipe,
            micro_batches=self.micro_batches,
            scheduler=step_scheduler,
        )

    def _one_epoch(self, epoch: int, packed: memoryview) -> dict[str, float]:
        """Run one epoch; whatever goes wrong, the state before it is restored from `packed`."""
        while True:
            self._before = packed
            try:
                row = self._try_epoch(epoch)
                self._before = None
                return row
            except BaseException as error:  # whatever it is, the epoch has not been
                remedy = self._remedy(error)
                problem = self._explain(error, epoch)
            self._restore(packed)
            if remedy is None:
                raise problem
            remedy()

    def _try_epoch(self, epoch: int) -> dict[str, float]:
        start = time.perf_counter()
        lr = self.optimizer.param_groups[0]["lr"]
        batch_sampler: Any = self.train_loader.batch_sampler  # torch's kind has no epoch
        batch_sampler.epoch = epoch
        batches = self.progress(self.train_loader, epoch)
        train_loss, train_accuracy = self.train_epoch(batches)
        if not moves_each_step(self.recipe):
            self.scheduler.step()
        valid_loss, valid_accuracy = evaluate(
            self.model,
            self.valid_loader,
            device=self.device,
            micro_batches=self.micro_batches,
        )
        if not math.isfinite(valid_loss):
            raise FloatingPointError(f"the validation loss is not finite, after steps at lr {lr:g}")
        row = {
            "epoch": epoch,
            "lr": lr,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "valid_loss": valid_loss,
            "valid_accuracy": valid_accuracy,
            "seconds": round(time.perf_counter() - start, 2),
        }
        best_so_far = max((past["valid_accuracy"] for past in self.history), default=-1)
        if valid_accuracy > best_so_far:
            self.best_state = copy_to_cpu(self.model.state_dict())
        self.history.append(row)
        if self.driven.used not in self.engines:
            self.engines.append(self.driven.used)
        return row

    def _remedy(self, error: BaseException) -> Callable[[], None] | None:
        """Return what may let an epoch succeed that has failed, or None if nothing may."""
        if lacks_memory(error) and 4 * self.micro_batches <= self.recipe.batch_size:
            return self._use_more_parts
        if isinstance(error, WorkersLost):
            say(f"{error}: the process itself loads them from here on")
            return self._load_alone
        return None

    def _use_more_parts(self) -> None:
        self.micro_batches *= 2
        self.driven.stop()  # parts of a batch have no graph, and need the memory

    def _load_alone(self) -> None:
        # the same batches: they do not depend on the number of workers
        self.train_loader = without_workers(self.train_loader)

    def _explain(self, error: BaseException, epoch: int) -> BaseException:
        """Return what to raise for an error within an epoch."""
        kept = f"the state after epoch {epoch - 1} is kept"
        if isinstance(error, KeyboardInterrupt):
            stopped = f"stopped in epoch {epoch} of {self.epochs}"
            return KeyboardInterrupt(f"{stopped}; {kept}: ask again to go on")
        if isinstance(error, FloatingPointError):
            return FloatingPointError(f"epoch {epoch}: {error}; {kept}")
        if lacks_memory(error):
            parts = f"with batches in {self.micro_batches} parts"
            return torch.OutOfMemoryError(f"epoch {epoch}: {first_line(error)}, {parts}; {kept}")
        return error

    def _pack(self) -> memoryview:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": self.history,
            "stretches": self.stretches,
            "engines": self.engines,
            "sharing": self.sharing.state_dict(),
            "best_state": self.best_state,
            "micro_batches": self.micro_batches,
        }
        return pack_state(state, owner=self.owner)

    def _restore(self, packed: bytes | memoryview) -> None:
        # an impatient second Ctrl-C must not leave it half restored
        with interrupt_waits():
            self._restore_all(packed)
            self._before = None

    def _restore_all(self, packed: bytes | memoryview) -> None:
        # torch's random state goes back with the rest
        name = str(self.checkpoint or "")
        state = unpack_state(packed, owner=self.owner, name=name)
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:  # a layer has another name or size, say
            raise ValueError(
                f"checkpoint {name} does not fit this net: {last_line(error)}; {ADVICE}"
            ) from None
        self.scheduler.load_state_dict(state["scheduler"])
        # a new one, for the old may have stopped half-way through a step; one at rest has no state
        self.scaler = self.device.make_scaler()
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.history = state["history"]
        self.stretches = state["stretches"]
        self.engines = state["engines"]
        self.sharing.load_state_dict(state["sharing"])
        self.best_state = state["best_state"]
        # parts that fitted into the memory must not grow again
        self.micro_batches = max(self.micro_batches, state["micro_batches"])


def fit(
    trainer: Trainer,
    *,
    name: str,
    progress: bool | int = True,
    until: int | None = None,
) -> None:
    """Train through all epochs that are left, with a bar that counts steps.

    progress: whether to draw the bar, or on which line of the terminal. until: the last epoch, by
    default the trainer's.
    """
    until = until or trainer.epochs
    if len(trainer.history) >= until:
        return
    steps = len(trainer.train_loader)
    line = None  # tqdm's own choice
    if progress is not True:
        line = progress
    with progress_bar(
        desc=name,
        unit="step",
        total=steps * until,
        initial=steps * len(trainer.history),
        disable=progress is False,
        position=line,
        leave=progress is True,  # one bar among several vanishes when it is done
    ) as bar:

        def counted(batches: Iterable, epoch: int) -> Iterable:
            for batch in batches:
                yield batch
                bar.update()

        trainer.progress = counted
        for row in trainer:
            status = f"epoch {row['epoch']}/{trainer.epochs}, valid {row['valid_accuracy']:.1%}"
            if trainer.micro_batches > 1:
                status += f", batches in {trainer.micro_batches} parts"
            bar.set_postfix_str(status)
            if row["epoch"] == until:
                break


def utc_now() -> str:
    """Return the time in UTC, to the second: "2026-11-28T09:30:00+00:00"."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def copy_to_cpu(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a copy of a model's tensors that further steps do not change."""
    copies = {}
    for name, tensor in state.items():
        copies[name] = tensor.detach().to("cpu", copy=True)
    return copies
