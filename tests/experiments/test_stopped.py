"""Runs that are stopped, in real processes: however it is, the record is the same in the end."""

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from helpers import assert_same_records, be_command_line

from cifarlib.experiments.record import read_record

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="signals and file-size limits are POSIX's"),
]

RUN = "test_resnet-32px-scratch-smoke"
CHEAPER_RUN = "lcnet_050-32px-scratch-smoke"  # which a grid does first


class Stop(NamedTuple):
    """A signal, and after which epoch of which run it comes; 0: as soon as the run is held.

    finished: how many runs are finished by then.
    """

    signal: int
    epoch: int
    run: str = RUN
    finished: int = 0


class Life(NamedTuple):
    """A process of the command line, and the file that holds what it says."""

    process: multiprocessing.Process
    said: Path

    def words(self) -> str:
        """Return what has been said so far."""
        if not self.said.exists():
            return ""
        return self.said.read_text(encoding="utf-8")

    def wait_until(self, pattern: str) -> None:
        """Wait until something was said, or until the process has ended."""
        while self.process.is_alive() and not re.search(pattern, self.words()):
            time.sleep(0.005)


class Command:
    """The command line on one's own pictures, to be started in processes of their own."""

    def __init__(self, mine: Path, folder: Path, arguments: Sequence) -> None:
        # imports torch once, so that a process starts in no time
        self.server = multiprocessing.get_context("forkserver")
        self.server.set_forkserver_preload(["cifarlib.tools.grid"])
        self.settings = {"CIFARLIB_DATA": str(mine), "CIFARLIB_RECORDS": "none"}
        self.folder = folder
        self.arguments = [*arguments, "--init", "scratch", "--budget", "smoke"]
        self.arguments += ["--image-size", "32"]
        self.lives: list[Life] = []

    def start(self, runs_dir: Path, *, size_limit: int | None = None) -> Life:
        """Start the command in a process."""
        said = self.folder / f"said-{len(self.lives)}.txt"
        arguments = [*self.arguments, "--runs-dir", str(runs_dir)]
        process = self.server.Process(
            target=be_command_line,
            args=(arguments, said, self.settings, size_limit),
        )
        process.start()
        self.lives.append(Life(process, said))
        return self.lives[-1]

    def run(self, runs_dir: Path) -> None:
        """Let the command run to its end."""
        life = self.start(runs_dir)
        life.process.join()
        assert life.process.exitcode == 0, life.words()

    def stop(self, runs_dir: Path, stop: Stop, *, seconds: float) -> Life:
        """Start the command and stop it so many seconds after an epoch."""
        life = self.start(runs_dir)
        if stop.epoch:
            life.wait_until(rf"{stop.run}[^\n]*epoch {stop.epoch}/16")
            time.sleep(seconds)
        else:
            life.wait_until(rf"{stop.run}@")  # its bar is drawn
        os.killpg(life.process.pid, stop.signal)
        life.process.join()
        expected = 130 if stop.signal == signal.SIGINT else -stop.signal
        assert life.process.exitcode == expected, life.words()
        return life


@pytest.fixture
def command(mine, tmp_path) -> Iterator:
    """A function that makes a command of arguments."""
    commands = []

    def make(*arguments: str) -> Command:
        commands.append(Command(mine, tmp_path, arguments))
        return commands[-1]

    yield make
    for made in commands:
        for life in made.lives:
            life.process.kill()


def seconds_an_epoch(runs_dir: Path) -> float:
    """Return how long an epoch took here."""
    path = next(runs_dir.glob("*/record.json"))
    return float(read_record(path).history.seconds.mean())


def stop_and_go_on(command: Command, stops: Sequence[Stop]) -> None:
    """Run a command undisturbed, and stopped at random moments; compare the records."""
    whole = command.folder / "whole"
    stopped = command.folder / "stopped"
    command.run(whole)
    rng = np.random.default_rng(len(stops))
    for stop in stops:
        seconds = rng.uniform(0, seconds_an_epoch(whole))
        command.stop(stopped, stop, seconds=seconds)
        assert len(list(stopped.glob("*/record.json"))) == stop.finished
    command.run(stopped)
    assert_same_records(whole, stopped)


def test_a_run_stopped_six_times_ends_with_the_record_of_one_left_alone(command):
    train = command("train", "--retrain", "--backbone", "test_resnet")
    stops = [
        Stop(signal.SIGKILL, epoch=0),
        # early ones, so that a run is not over before the signal on a machine that is busy
        Stop(signal.SIGKILL, epoch=1),
        Stop(signal.SIGINT, epoch=2),
        Stop(signal.SIGKILL, epoch=4),
        Stop(signal.SIGKILL, epoch=5),
        Stop(signal.SIGKILL, epoch=7),
    ]
    stop_and_go_on(train, stops)
    said = train.lives[3].words()  # the first is the whole run's
    advice = "stopped in epoch [0-9]+ of 16; the state .* is kept: ask again"
    assert re.search(f"{advice}|the same command goes on", said)
    assert "Traceback" not in said


def test_a_grid_killed_three_times_ends_with_the_same_records(command):
    two_nets = command("grid", "--backbone", "test_resnet", "lcnet_050")
    stops = [
        Stop(signal.SIGKILL, epoch=2, run=CHEAPER_RUN),
        Stop(signal.SIGKILL, epoch=6, run=CHEAPER_RUN),
        Stop(signal.SIGKILL, epoch=4, finished=1),
    ]
    stop_and_go_on(two_nets, stops)


def test_a_full_disk_is_one_line_and_leaves_no_half_file(command, tmp_path):
    train = command("train", "--backbone", "test_resnet")
    life = train.start(tmp_path / "runs", size_limit=1_000_000)
    life.process.join()
    said = life.words()
    assert life.process.exitcode == 2
    assert said.splitlines()[-1].endswith("checkpoint.pt: File too large")
    assert "Traceback" not in said
    assert not list(tmp_path.glob("runs/*/.*.tmp"))
