"""Whether a run's seconds mean anything: who else used the machine meanwhile."""

import os
import subprocess
import sys
import time

import psutil
import pytest
from helpers import make_trainer

from cifarlib.training import sharing
from cifarlib.training.sharing import MOST_FOR_OTHERS, Sharing


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """A folder of marks that the other tests' runs do not share."""
    monkeypatch.setattr(sharing, "_folder", lambda: tmp_path / "running")


@pytest.fixture
def busy():
    """A process that takes a core."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield process
    process.kill()
    process.wait()


def test_a_run_alone_leaves_a_mark_only_while_it_trains(train, tmp_path):
    trainer = make_trainer(train, epochs=2)
    marks = []
    for _ in trainer:
        marks.append([path.name for path in (tmp_path / "running").glob("*")])
    assert marks == [[str(os.getpid())]] * 2
    assert list((tmp_path / "running").glob("*")) == []
    assert trainer.sharing.runs == 1


def test_another_run_counts_and_one_whose_process_is_no_more_does_not(tmp_path, busy):
    with Sharing() as counted:
        dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
        (tmp_path / "running" / dead.stdout.decode().strip()).write_text("1.0", encoding="utf-8")
        # a process that has the number of one that is no more
        mark = tmp_path / "running" / str(busy.pid)
        mark.write_text("1.0", encoding="utf-8")
        counted.look()
        assert counted.runs == 1
        mark.write_text(sharing._started(busy.pid), encoding="utf-8")
        counted.look()
    assert counted.runs == 2
    assert not counted.seconds_valid
    with Sharing() as later:
        assert later.runs == 2


def test_a_busy_program_beside_it_makes_the_seconds_say_nothing(busy):
    # another core than the busy program's would be free; what counts is what others take
    with Sharing() as counted:
        time.sleep(2)
        counted.look()
    assert counted.runs == 1
    # beside the process other tests may be running
    assert counted.others_cores > 0.3
    assert counted.seconds_valid == (
        counted.others_cores <= MOST_FOR_OTHERS * (psutil.cpu_count() or 1)
    )


def test_its_own_work_and_its_workers_are_not_others(monkeypatch):
    machine = iter([100.0, 109.0])
    times = type(psutil.cpu_times())
    idle = times(*[0.0] * len(times._fields))
    monkeypatch.setattr(psutil, "cpu_times", lambda: idle._replace(user=next(machine)))
    process = psutil.Process()
    own = iter([50.0, 59.0])
    spent = process.cpu_times()._replace(system=0.0, children_user=0.0, children_system=0.0)
    monkeypatch.setattr(psutil.Process, "cpu_times", lambda self: spent._replace(user=next(own)))
    monkeypatch.setattr(psutil.Process, "children", lambda self, recursive: [])
    with Sharing() as counted:
        counted.look()
    assert counted.others_seconds == 0


def test_a_run_that_was_stopped_goes_on_counting(train, tmp_path):
    path = tmp_path / "c.pt"
    first = make_trainer(train, checkpoint=path, epochs=2)
    first.sharing.runs = 3
    next(iter(first))
    second = make_trainer(train, checkpoint=path, epochs=2)
    assert second.sharing.state_dict() == first.sharing.state_dict()
    assert second.sharing.runs == 3


def test_a_folder_that_cannot_be_written_stops_no_run(train, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(sharing, "_folder", lambda: tmp_path / "file" / "running")
    trainer = make_trainer(train, epochs=1)
    assert len(list(trainer)) == 1
