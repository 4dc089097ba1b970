"""A batch's randomness depends on (seed, epoch, position) alone."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers import small_set
from hypothesis import given, settings
from hypothesis import strategies as st

from cifarlib import make_loader, train_transform
from cifarlib.data import loader
from cifarlib.data.loader import (
    WORKERS_NICE,
    AugmentedImages,
    EpochBatches,
    WorkersLost,
    _say_unless_hung_up,
    _step_aside,
    without_workers,
)


def one_epoch(images, *, workers: int, epoch: int, seed: int = 42) -> list[torch.Tensor]:
    """Return one epoch's batches, pictures and labels in one list."""
    transform = train_transform(32, normalize=False)
    loader = make_loader(images, transform, shuffle=True, seed=seed, num_workers=workers)
    loader.batch_sampler.epoch = epoch
    return [part for batch in loader for part in batch]


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same_batches(workers, train):
    alone = one_epoch(train[:150], workers=0, epoch=3)
    shared = one_epoch(train[:150], workers=workers, epoch=3)
    for ours, theirs in zip(alone, shared, strict=True):
        assert torch.equal(ours, theirs)


def test_another_epoch_or_seed_gives_other_batches(train):
    first = one_epoch(train[:150], workers=0, epoch=3)
    assert not torch.equal(first[0], one_epoch(train[:150], workers=0, epoch=4)[0])
    assert not torch.equal(first[0], one_epoch(train[:150], workers=0, epoch=3, seed=7)[0])


@settings(max_examples=25, deadline=None)
@given(
    epoch=st.integers(0, 99),
    position=st.integers(0, 99),
    others=st.lists(st.integers(0, 99), max_size=5),
)
def test_a_picture_does_not_depend_on_those_before_it(train, epoch, position, others):
    images = AugmentedImages(train, train_transform(32, normalize=False))
    first = images[epoch, position][0]
    for other in others:
        images[epoch, other]
    assert torch.equal(images[epoch, position][0], first)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 300), batch_size=st.integers(1, 64), shuffle=st.booleans())
def test_batches_hold_every_picture_once_but_a_last_one_alone(n, batch_size, shuffle):
    sampler = EpochBatches(n, batch_size, shuffle=shuffle, seed=1)
    found = list(sampler)
    assert len(found) == len(sampler)
    positions = [position for batch in found for _, position in batch]
    alone = shuffle and n % batch_size == 1 and n > 1 and batch_size > 1
    assert len(positions) == len(set(positions)) == n - alone


# --- workers that die -----------------------------------------------------------------------------


def kill_the_workers(loader) -> None:
    """Kill a loader's processes once they are there."""
    for worker in loader._iterator._workers:
        worker.kill()
        worker.join()


def test_workers_that_die_are_told_in_one_line(train):
    loader = make_loader(train, train_transform(32), num_workers=1, batch_size=8)
    batches = iter(loader)
    next(batches)
    kill_the_workers(loader)
    with pytest.raises(WorkersLost, match=r"^the processes that load the pictures died.*") as died:
        list(batches)
    assert len(str(died.value).splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="the limit is POSIX's")
def test_no_room_in_shared_memory_is_told_in_one_line(train):
    loader = make_loader(train, train_transform(32), num_workers=1)
    prepare = loader.worker_init_fn

    def no_room(worker: int) -> None:
        import resource  # not on Windows

        prepare(worker)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # of shared memory too

    loader.worker_init_fn = no_room
    with pytest.raises(WorkersLost, match="died or found no shared memory") as died:
        list(loader)
    assert len(str(died.value).splitlines()) == 1


def test_without_workers_the_batches_are_the_same(train):
    loader = make_loader(train[:150], train_transform(32), shuffle=True, num_workers=1)
    batches = [images for images, _ in loader]
    alone = without_workers(loader)
    assert alone.num_workers == 0
    alone.batch_sampler.epoch = 0
    for ours, (theirs, _) in zip(batches, alone, strict=True):
        assert torch.equal(ours, theirs)


def test_a_worker_says_nothing_of_a_main_process_that_hung_up(capsys):
    for error in (ConnectionResetError("reset"), EOFError(), FileNotFoundError("gone")):
        _say_unless_hung_up(type(error), error, None)
    assert capsys.readouterr().err == ""
    _say_unless_hung_up(ZeroDivisionError, ZeroDivisionError("a fault of ours"), None)
    assert "a fault of ours" in capsys.readouterr().err


def test_there_are_no_more_workers_than_cores_that_may_be_used(monkeypatch):
    monkeypatch.setattr(loader, "MOST_WORKERS", 4)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert loader._default_workers() <= len(os.sched_getaffinity(0))


def say_priority(found) -> None:
    """Be a loader's worker, and tell how it is scheduled."""
    _step_aside(0)
    found.put((os.nice(0), os.sched_getscheduler(0)))


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux's")
def test_a_worker_yields_to_the_step_and_still_gets_a_share_of_a_busy_machine():
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    worker = context.Process(target=say_priority, args=(found,))
    worker.start()
    niceness, policy = found.get(timeout=30)
    worker.join()
    assert niceness == min(19, os.nice(0) + WORKERS_NICE)
    # not SCHED_IDLE, which a busy machine never runs
    assert policy == os.SCHED_OTHER


# --- loops of one's own ---------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loop_of_ones_own_sees_another_order_and_augmentation_each_epoch(workers, train):
    loader = make_loader(
        train[:150],
        train_transform(32, normalize=False),
        shuffle=True,
        num_workers=workers,
    )
    for epoch in range(3):
        seen = [part for batch in loader for part in batch]
        expected = one_epoch(train[:150], workers=0, epoch=epoch)
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(seen, expected, strict=True))


def test_images_in_their_order_are_augmented_anew_each_epoch(train):
    loader = make_loader(train[:8], train_transform(32, normalize=False), num_workers=0)
    first, second = (next(iter(loader)) for _ in range(2))
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], second[0])


def test_a_pass_that_was_broken_off_counts(train):
    sampler = EpochBatches(100, 10, shuffle=True, seed=1)
    broken_off = next(iter(sampler))
    assert sampler.epoch == 1
    assert next(iter(sampler)) != broken_off
    sampler.epoch = 0
    assert next(iter(sampler)) == broken_off


def test_two_passes_at_once_do_not_disturb_each_other():
    alone = list(EpochBatches(100, 10, shuffle=True, seed=1))
    sampler = EpochBatches(100, 10, shuffle=True, seed=1)
    one = iter(sampler)
    first = next(one)
    list(sampler)
    assert [first, *one] == alone


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "got batch_size 0, expected a whole number, 1 or more"),
        ({"batch_size": 6.4}, r"got batch_size 6\.4"),
        ({"num_workers": -1}, "got num_workers -1, expected a whole number, 0 or more"),
        ({"seed": -1}, "got seed -1"),
    ],
)
def test_numbers_that_cannot_be_are_refused(options, words, train):
    with pytest.raises(ValueError, match=words):
        make_loader(train, train_transform(32), **options)


def test_what_is_no_image_set_is_refused(train):
    with pytest.raises(ValueError, match=r"got images ndarray, expected an ImageSet: ImageSet\("):
        make_loader(train.images, train_transform(32))


# --- processes that cannot be had -----------------------------------------------------------------


def load_in_a_pool(_: int) -> list[tuple[int, ...]]:
    """Load with workers in a process that may have none of its own."""
    loader = make_loader(small_set("train", 100), train_transform(32), num_workers=2)
    return [tuple(images.shape) for images, _ in loader]


@pytest.mark.skipif(os.name == "nt", reason="Windows does not fork")
def test_within_a_pool_the_process_loads_itself():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        shapes = pool.apply_async(load_in_a_pool, (0,)).get(timeout=60)
    assert shapes == [(64, 3, 32, 32), (36, 3, 32, 32)]


def test_where_there_is_no_memory_for_a_process_this_one_loads(train, monkeypatch, capfd):
    def no_memory(process):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", no_memory)
    loader = make_loader(train[:100], train_transform(32), num_workers=2)
    assert len(list(loader)) == 2
    assert "no processes load the pictures (" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(
    ("method", "cores", "workers"), [("spawn", 16, 0), ("fork", 2, 0), ("fork", 3, 3)]
)
def test_there_are_workers_by_default_only_where_they_pay(
    method, cores, workers, train, monkeypatch
):
    monkeypatch.setattr("multiprocessing.get_start_method", lambda allow_none: method)
    monkeypatch.setattr("cifarlib.data.loader.cpu_count", lambda: cores)
    monkeypatch.setattr("cifarlib.data.loader.MOST_WORKERS", 4)
    assert make_loader(train[:100], train_transform(32)).num_workers == workers


WITHOUT_GUARD = """
import multiprocessing
multiprocessing.set_start_method("spawn")
import numpy as np
import cifarlib as cl
images = np.zeros((200, 32, 32, 3), np.uint8)
images = cl.ImageSet(images, np.zeros(200, int), ("a",))
loader = cl.make_loader(images, cl.train_transform(32), num_workers=2)
print("begin", flush=True)
list(loader)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_second_ctrl_c_gets_through_where_spawned_workers_hang(tmp_path):
    script = tmp_path / "script.py"  # whose workers die of running it, and leave it waiting
    script.write_text(WITHOUT_GUARD, encoding="utf-8")
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=-1)
    assert process.stdout.readline() == b"begin\n"
    time.sleep(3)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(1)
    process.communicate(timeout=20)
    assert process.returncode not in (0, None)
