"""What a long training survives: memory that is short, workers that die, Ctrl-C, a dead process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.loader import WorkersLost, without_workers
from ..utils.errors import first_line, lacks_memory, last_line
from ..utils.files import ensure_folder, expanded, write_bytes
from ..utils.progress import say
from ..utils.signals import interrupt_waits
from .callbacks import Callback, Training
from .checkpoint import ADVICE, Owner, pack_state, unpack_state


@dataclass(frozen=True)
class Checkpoint:
    """A file in which a training is kept after each epoch, and whose training it is."""

    path: Path
    owner: Owner  # a name, or all that makes the training what it is: another's file is refused


def checkpoint_of(
    training: Training,
    checkpoint: str | Path | Checkpoint | None,
) -> Checkpoint | None:
    """Return the checkpoint with whose training it is: by a path, all that shapes this one."""
    if checkpoint is None or isinstance(checkpoint, Checkpoint):
        return checkpoint
    path = expanded(checkpoint)
    if path.is_dir():
        raise ValueError(f"got folder {path} as checkpoint, expected a file such as mine.pt")
    ensure_folder(path.parent)  # before training rather than after its first epoch
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
    return Checkpoint(path, owner)


class Recovery:
    """Sees to it that an epoch is finished or has not been, and keeps a training in its checkpoint.

    An epoch that fails is taken back: weights, optimiser, schedule, torch's random numbers. It is
    begun again in smaller parts where a GPU's memory is short, and without workers where these
    died; else the error is raised and says what is kept. Raises ValueError for a checkpoint that is
    damaged or of another training.
    """

    def __init__(
        self,
        training: Training,
        callbacks: Sequence[Callback],
        checkpoint: Checkpoint | None,
    ) -> None:
        self.training = training
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.is_half_done = False
        self.before = memoryview(b"")

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        if self.checkpoint and self.checkpoint.path.exists():
            self._restore(self.checkpoint.path.read_bytes())
        self.before = self._pack()  # what an epoch that fails is taken back to

    def complete(self, one_epoch: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Return the row that one_epoch() returns; whatever goes wrong in it, it has not been."""
        while True:
            self.is_half_done = True
            try:
                row = one_epoch()
                self.is_half_done = False
                return row
            except BaseException as error:  # whatever it is, the epoch is taken back
                remedy = self._remedy(error)
                problem = self._explain(error)
            # no longer within the except, which would keep the failed step's memory
            self.undo_half_an_epoch()
            if remedy is None:
                raise problem
            remedy()

    def undo_half_an_epoch(self) -> None:
        """Put all back as it was before an epoch that is half done."""
        # an impatient second Ctrl-C must not leave it half restored
        with interrupt_waits():
            if self.is_half_done:
                self._restore(self.before)
            self.is_half_done = False

    def save(self) -> None:
        """Keep the training as it is now, in its checkpoint too if it has one."""
        self.before = self._pack()
        if self.checkpoint:
            write_bytes(self.checkpoint.path, self.before)

    def _remedy(self, error: BaseException) -> Callable[[], None] | None:
        """Return what may let an epoch succeed that has failed, or None if nothing may."""
        training = self.training
        if lacks_memory(error) and 4 * training.micro_batches <= training.batch_size:
            return self._use_more_parts
        if isinstance(error, WorkersLost):
            say(f"{error}: the process itself loads them from here on")
            return self._load_alone
        return None

    def _use_more_parts(self) -> None:
        self.training.micro_batches *= 2
        self.training.engine.stop()  # parts of a batch have no graph, and need the memory

    def _load_alone(self) -> None:
        # the same batches: they do not depend on the number of workers
        loader: Any = self.training.train_loader
        self.training.train_loader = without_workers(loader)

    def _explain(self, error: BaseException) -> BaseException:
        """Return what to raise for an error within an epoch."""
        epoch = len(self.training.history) + 1
        kept = f"the state after epoch {epoch - 1} is kept"
        if isinstance(error, KeyboardInterrupt):
            advice = " in the model"
            if self.checkpoint:
                advice = ": ask again to go on"
            stopped = f"stopped in epoch {epoch} of {self.training.epochs}"
            return KeyboardInterrupt(f"{stopped}; {kept}{advice}")
        if isinstance(error, FloatingPointError):
            return FloatingPointError(f"epoch {epoch}: {error}; {kept}")
        if lacks_memory(error):
            parts = f"with batches in {self.training.micro_batches} parts"
            return torch.OutOfMemoryError(f"epoch {epoch}: {first_line(error)}, {parts}; {kept}")
        return error

    def _pack(self) -> memoryview:
        """Return all that an epoch changes, as bytes."""
        training = self.training
        schedule = None
        if training.scheduler is not None:
            schedule = training.scheduler.state_dict()
        generator = _generator_of(training.train_loader)
        state = {
            "generator": generator and generator.get_state(),
            "model": training.model.state_dict(),
            "optimizer": training.optimizer.state_dict(),
            "scheduler": schedule,
            "scaler": training.scaler.state_dict(),
            "history": training.history,
            "callbacks": {type(one).__name__: one.state_dict() for one in self.callbacks},
            "micro_batches": training.micro_batches,
            "should_stop": training.should_stop,
        }
        return pack_state(state, owner=self._owner())

    def _restore(self, packed: bytes | memoryview) -> None:
        """Put all back as it is in `packed`, torch's random numbers too."""
        training = self.training
        name = ""
        if self.checkpoint:
            name = str(self.checkpoint.path)
        state = unpack_state(packed, owner=self._owner(), name=name)
        try:
            training.model.load_state_dict(state["model"])
            training.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:  # a layer has another name or size, say
            raise ValueError(
                f"checkpoint {name} does not fit this net: {last_line(error)}; {ADVICE}"
            ) from None
        if training.scheduler is not None:
            training.scheduler.load_state_dict(state["scheduler"])
        generator = _generator_of(training.train_loader)
        if generator is not None and state["generator"] is not None:
            generator.set_state(state["generator"])
        # a new one, for the old may have stopped half-way through a step; one at rest has no state
        training.scaler = training.device.make_scaler()
        if state["scaler"]:
            training.scaler.load_state_dict(state["scaler"])
        training.history = state["history"]
        training.should_stop = state["should_stop"]
        for callback in self.callbacks:
            name_of_kind = type(callback).__name__
            if name_of_kind in state["callbacks"]:
                callback.load_state_dict(state["callbacks"][name_of_kind])
        # parts that fitted into the memory must not grow again
        training.micro_batches = max(training.micro_batches, state["micro_batches"])

    def _owner(self) -> Owner:
        if self.checkpoint is None:
            return ""
        return self.checkpoint.owner


def _generator_of(loader: Any) -> torch.Generator | None:
    """Return the generator that a loader's order is drawn from, if it has one of its own."""
    return getattr(loader, "generator", None)
