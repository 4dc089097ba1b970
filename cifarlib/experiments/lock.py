"""One at a time: a run has its folder, and this process's random numbers, to itself."""

import contextlib
import os
import platform
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from filelock import FileLock, Timeout

LOCK = "lock"
HOLDER = "holder.txt"
# torch's random state is the process's, which may have many threads
ONE_AT_A_TIME = threading.Lock()


@contextlib.contextmanager
def own_random_numbers() -> Iterator[None]:
    """Let no other run of this process draw meanwhile, and put the caller's state back at the end.

    Where several threads run experiments, one waits for the other: each gets its seed's numbers.
    """
    devices = []
    if torch.cuda.is_available():
        devices = [torch.cuda.current_device()]
    with ONE_AT_A_TIME, torch.random.fork_rng(devices):
        yield


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a run's folder; ValueError that says who holds it, if another process does.

    The system lets go of a lock with its process; on file systems without locks a mark stands for
    it, which filelock takes over from a dead process of this machine, and the message says how to
    from another machine's.
    """
    holder = folder / HOLDER
    lock = folder / LOCK
    try:
        with FileLock(lock, timeout=0):
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            who = f"process {os.getpid()} on {platform.node()}, since {since},"
            holder.write_text(who, encoding="utf-8")
            for left_by_a_kill in folder.glob(".*.tmp"):
                left_by_a_kill.unlink()
            yield
    except Timeout:
        who = "another process"
        if holder.exists():
            who = holder.read_text(encoding="utf-8")
        raise ValueError(
            f"{who} is training {folder.name} in {folder.parent}: wait for it, then ask again;"
            f" if it is no more, delete {lock}"
        ) from None
