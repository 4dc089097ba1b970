"""Whether a run's seconds mean anything: who else used the machine meanwhile."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from helpers import StopAfter, fit_tiny

from cifarlib import Callback
from cifarlib.training.sharing import MOST_FOR_OTHERS, MachineLoad


@pytest.fixture
def marks(tmp_path) -> Path:
    """A folder of marks that the other tests' runs do not share."""
    return tmp_path / "running"


@contextlib.contextmanager
def watching(folder: Path) -> Iterator[MachineLoad]:
    """What a training's first epoch does with the counts, without the training."""
    load = MachineLoad(folder)
    load.on_epoch_begin(None)
    yield load
    load.on_fit_end(None)


ORPHAN = """
import subprocess, sys
endless = [sys.executable, "-c", "while True: pass"]
print(subprocess.Popen(endless, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)
"""


@pytest.fixture
def busy() -> Iterator[psutil.Process]:
    """A process that takes a core; no child of this one, whose work is not others'."""
    started = subprocess.run(
        [sys.executable, "-c", ORPHAN], capture_output=True, check=True, timeout=60
    )
    process = psutil.Process(int(started.stdout))
    yield process
    process.kill()


class Marks(Callback):
    """Sees which marks there are at the end of each epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = []

    def on_epoch_end(self, training):
        self.seen.append([path.name for path in self.folder.glob("*")])


def test_a_training_alone_leaves_a_mark_only_while_it_goes_on(train, marks):
    load = MachineLoad(marks)
    seen = Marks(marks)
    fit_tiny(train, epochs=2, callbacks=[load, seen])
    assert seen.seen == [[str(os.getpid())]] * 2
    assert list(marks.glob("*")) == []
    assert load.runs == 1


def test_another_run_counts_and_one_whose_process_is_no_more_does_not(marks, busy):
    with watching(marks) as counted:
        dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
        (marks / dead.stdout.decode().strip()).write_text("1.0", encoding="utf-8")
        # a process that has the number of one that is no more
        mark = marks / str(busy.pid)
        mark.write_text("1.0", encoding="utf-8")
        counted.on_epoch_end(None)
        assert counted.runs == 1
        mark.write_text(str(psutil.Process(busy.pid).create_time()), encoding="utf-8")
        counted.on_epoch_end(None)
    assert counted.runs == 2
    assert not counted.seconds_valid
    with watching(marks) as later:
        assert later.runs == 2


def test_a_busy_program_beside_it_makes_the_seconds_say_nothing(busy, marks):
    # another core than the busy program's would be free; what counts is what others take
    with watching(marks) as counted:
        time.sleep(2)
        counted.on_epoch_end(None)
    assert counted.runs == 1
    # beside the process other tests may be running
    assert counted.others_cores > 0.3
    assert counted.seconds_valid == (
        counted.others_cores <= MOST_FOR_OTHERS * (psutil.cpu_count() or 1)
    )


def test_its_own_work_and_its_workers_are_not_others(monkeypatch, marks):
    machine = iter([100.0, 109.0])
    times = type(psutil.cpu_times())
    idle = times(*[0.0] * len(times._fields))
    monkeypatch.setattr(psutil, "cpu_times", lambda: idle._replace(user=next(machine)))
    process = psutil.Process()
    own = iter([50.0, 59.0])
    spent = process.cpu_times()._replace(system=0.0, children_user=0.0, children_system=0.0)
    monkeypatch.setattr(psutil.Process, "cpu_times", lambda self: spent._replace(user=next(own)))
    monkeypatch.setattr(psutil.Process, "children", lambda self, recursive: [])
    with watching(marks) as counted:
        counted.on_epoch_end(None)
    assert counted.others_seconds == 0


def test_a_training_that_was_stopped_goes_on_counting(train, marks, tmp_path):
    path = tmp_path / "c.pt"
    first = MachineLoad(marks)
    first.runs = 3
    with pytest.raises(KeyboardInterrupt):
        fit_tiny(train, checkpoint=path, callbacks=[first, StopAfter(2)])
    second = MachineLoad(marks)
    with pytest.raises(KeyboardInterrupt):
        fit_tiny(train, checkpoint=path, callbacks=[second, StopAfter(2)])
    assert second.state_dict() == first.state_dict()
    assert second.runs == 3


def test_a_folder_that_cannot_be_written_stops_no_training(train, tmp_path):
    (tmp_path / "file").touch()
    load = MachineLoad(tmp_path / "file" / "running")
    assert len(fit_tiny(train, epochs=1, callbacks=[load]).history) == 1
