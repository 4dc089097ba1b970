"""What else a machine did while a run trained, and so whether the run's seconds mean anything."""

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from .callbacks import Callback, Training

# of the cores: others that take more of them make a run's seconds say little of the machine
MOST_FOR_OTHERS = 0.1


class MachineLoad(Callback):
    """Counts, while a training goes on, the runs on this machine and the CPU time others take.

    Each run leaves a mark, with its process's number and start, in a folder that all of one user's
    share; one of a process that is no more does not count. Other programs on a GPU, and other
    users' runs there, are not seen. folder: where the marks are, by default all of one user's.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.runs = 1  # the most that were seen at once, this one among them
        self.seconds = 0.0  # that were watched
        self.others_seconds = 0.0  # of CPU time that was not this process's nor its workers'
        self.folder = folder or _usual_folder()
        self._mark = self.folder / str(os.getpid())
        self._since: tuple[float, float] | None = None  # None: not watched now

    def on_epoch_begin(self, training: Training) -> None:
        """Leave the mark, and watch from now on."""
        if self._since is not None:
            return
        with contextlib.suppress(OSError):  # a run is not to fail for want of a mark
            self._mark.parent.mkdir(exist_ok=True)
            self._mark.write_text(_started(os.getpid()), encoding="utf-8")
        self.runs = max(self.runs, _count_runs(self.folder))
        self._since = (time.monotonic(), _cpu_seconds_of_others())

    def on_epoch_end(self, training: Training) -> None:
        """Bring the counts up to date."""
        assert self._since is not None  # an epoch that ends has begun
        self.runs = max(self.runs, _count_runs(self.folder))
        now = (time.monotonic(), _cpu_seconds_of_others())
        self.seconds += now[0] - self._since[0]
        self.others_seconds += max(0.0, now[1] - self._since[1])
        self._since = now

    def on_fit_end(self, training: Training) -> None:
        """Take the mark away."""
        self._since = None
        with contextlib.suppress(OSError):
            self._mark.unlink()

    @property
    def others_cores(self) -> float:
        """How many of the machine's cores others took, on average."""
        if self.seconds == 0:
            return 0.0
        return self.others_seconds / self.seconds

    @property
    def seconds_valid(self) -> bool:
        """Whether no other run and hardly another program was seen, so that seconds compare."""
        cores = psutil.cpu_count() or 1
        return self.runs == 1 and self.others_cores <= MOST_FOR_OTHERS * cores

    def state_dict(self) -> dict[str, Any]:
        """Return the counts, for a checkpoint."""
        return {
            "runs": self.runs,
            "seconds": self.seconds,
            "others_seconds": self.others_seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the counts of a run that was stopped."""
        self.runs = state["runs"]
        self.seconds = state["seconds"]
        self.others_seconds = state["others_seconds"]


def _usual_folder() -> Path:
    user = "all"
    if hasattr(os, "getuid"):  # elsewhere each user has a temporary folder of their own
        user = str(os.getuid())
    return Path(tempfile.gettempdir()) / f"cifarlib-running-{user}"


def _count_runs(folder: Path) -> int:
    """Return how many live processes have left a mark, this one among them."""
    others = 0
    for mark in folder.glob("*"):
        number = mark.name
        if not number.isdigit() or int(number) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # removed meanwhile
            # numbers are used again: the start tells whether it is the process that left the mark
            started = _started(int(number))
            if started and mark.read_text(encoding="utf-8") == started:
                others += 1
    return 1 + others


def _started(number: int) -> str:
    """Return when a process was started, or "" where there is none of that number."""
    try:
        return str(psutil.Process(number).create_time())
    except psutil.Error:
        return ""


def _cpu_seconds_of_others() -> float:
    """Return the CPU time since the machine's start that was not this process's or its children's.

    It means something only as a difference.
    """
    times = psutil.cpu_times()
    # time that another virtual machine took counts as others' too
    kinds = ("user", "nice", "system", "irq", "softirq", "steal")
    busy = sum(getattr(times, kind, 0.0) for kind in kinds)
    process = psutil.Process()
    own = sum(process.cpu_times()[:4])  # user, system, and both of children that have ended
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            own += sum(child.cpu_times()[:2])
    return busy - own
