"""Runs that are stopped, in real processes: whatever the moment and the signal, the record is the same in the end."""

import contextlib
import multiprocessing
import os
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

if os.name == "nt":
    pytest.skip("signals and file-size limits are POSIX's", allow_module_level=True)

from test_running import assert_same_records

from cifarlib import BUDGETS, Budget, __main__

WRONG_ENDS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGKILL, signal.SIGKILL)
server = multiprocessing.get_context("forkserver")  # imports torch once, so that a process starts in no time
server.set_forkserver_preload(["cifarlib.__main__"])


def call(arguments: list, said: Path, settings: dict, size_limit: int | None = None) -> None:
    """Be a process of its own: run the command line with a smoke budget of 16 epochs, long enough to be stopped."""
    os.setsid()
    multiprocessing.set_start_method(None, force=True)  # as in a process of a user's
    for stream in (1, 2):
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.environ |= settings
    torch.set_num_threads(1)
    BUDGETS["smoke"] = Budget(96, 24, 24, {"scratch": 16, "imagenet": 16}, BUDGETS["smoke"].lr)
    if size_limit:
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_FSIZE, (size_limit, size_limit))
    sys.argv = ["cifarlib", *map(str, arguments)]
    sys.exit(__main__.main())


@pytest.fixture
def start(mine, tmp_path):
    """Start the command line as a process, its words in tmp_path/said; wait until it trains, and return it."""

    def started(folder: Path, *arguments: object, size_limit: int | None = None) -> multiprocessing.Process:
        settings = {"CIFARLIB_DATA": str(mine), "CIFARLIB_RECORDS": "none"}
        arguments = [*arguments, "--init", "scratch", "--budget", "smoke", "--image-size", 32, "--runs-dir", folder]
        before = {path: path.stat().st_mtime_ns for path in folder.glob("*/holder.txt")}
        process = server.Process(target=call, args=(arguments, tmp_path / "said", settings, size_limit))
        process.start()
        while process.is_alive():
            if any(path.stat().st_mtime_ns != before.get(path) for path in folder.glob("*/holder.txt")):
                break
            time.sleep(0.005)
        return process

    return started


def stop_and_go_on(start, tmp_path: Path, arguments: tuple, signs: tuple) -> None:
    """Let the command run once undisturbed, once with a signal at a random moment each life; compare the records."""
    whole = start(tmp_path / "whole", *arguments)
    since = time.perf_counter()
    whole.join()
    share, random = (time.perf_counter() - since) / (len(signs) + 2), np.random.default_rng(len(signs))
    stopped = 0
    for sign in signs:
        process = start(tmp_path / "stopped", *arguments)
        time.sleep(random.uniform(0, share))
        with contextlib.suppress(ProcessLookupError):  # on a machine that became faster it may have ended
            os.killpg(process.pid, sign)
        process.join()
        stopped += process.exitcode == (130 if sign == signal.SIGINT else -sign)
    assert stopped > len(signs) / 2
    last = start(tmp_path / "stopped", *arguments)
    last.join()
    assert whole.exitcode == last.exitcode == 0
    assert_same_records(tmp_path / "whole", tmp_path / "stopped")


def test_a_run_stopped_six_times_ends_with_the_record_of_one_left_alone(start, tmp_path):
    stop_and_go_on(start, tmp_path, ("train", "--retrain", "--backbone", "mobilenetv3_small_050"), WRONG_ENDS)
    said = (tmp_path / "said").read_text(encoding="utf-8")
    assert re.search("stopped in epoch [0-9]+ of 16; the state .* is kept: ask again|the same command goes on", said)
    assert "Traceback" not in said


def test_a_grid_killed_three_times_ends_with_the_same_records(start, tmp_path):
    arguments = ("grid", "--backbone", "mobilenetv3_small_050", "lcnet_050")
    stop_and_go_on(start, tmp_path, arguments, 3 * (signal.SIGKILL,))
    assert "lcnet_050-32px-scratch-smoke" in (tmp_path / "said").read_text(encoding="utf-8")


def test_a_full_disk_is_one_line(start, tmp_path):
    process = start(tmp_path / "runs", "train", "--backbone", "mobilenetv3_small_050", size_limit=4_000_000)
    process.join()
    said = (tmp_path / "said").read_text(encoding="utf-8")
    assert process.exitcode == 2
    assert said.splitlines()[-1].endswith("checkpoint.pt: File too large")
    assert "Traceback" not in said
    assert not list(tmp_path.glob("runs/*/*.tmp"))
