"""The official files are read whole, or what is wrong is said; none is left half written."""

import multiprocessing
import os
import pickle
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import NOWHERE, full_disk

from cifarlib import load_cifar100, split_folds
from cifarlib.data import facts
from cifarlib.data.official import ARCHIVE, OFFICIAL_FOLDER, _workshop
from cifarlib.utils.files import clear_left_overs, file_digest, temporary_name

SPLITS = ("train", "test")


# --- the official files ---------------------------------------------------------------------------


def test_official_files_and_a_shuffled_tree_of_the_same_pictures_agree(
    official, write_tree, tmp_path
):
    tree = tmp_path / "tree"
    for split in SPLITS:
        write_tree(tree, load_cifar100(split, official), split)
    for split in SPLITS:
        first = load_cifar100(split, official)
        second = load_cifar100(split, tree)
        assert (first.source, second.source) == ("official", "folder")
        assert first.fingerprint == second.fingerprint
        np.testing.assert_array_equal(first.coarse_labels, second.coarse_labels)
    for ours, theirs in zip(
        split_folds(load_cifar100("train", official)),
        split_folds(load_cifar100("train", tree)),
        strict=True,
    ):
        assert ours.fingerprint == theirs.fingerprint


def test_official_pictures_are_arrays_of_the_documented_kind(official):
    images = load_cifar100("train", official)
    assert images.images.shape == (600, 32, 32, 3)
    assert images.images.dtype == np.uint8
    assert images.labels.dtype == np.int64
    assert len(images.classes) == 100
    assert len(images.superclasses) == 20


def test_the_archive_is_unpacked_where_only_it_is_there(official, tmp_path, monkeypatch):
    root = tmp_path / "archive"
    root.mkdir()
    with tarfile.open(root / ARCHIVE, "w:gz") as tar:
        tar.add(official / "cifar-100-python", "cifar-100-python")
    monkeypatch.setattr(facts, "ARCHIVE_MD5", file_digest(root / ARCHIVE))
    unpacked = load_cifar100("test", root)
    assert unpacked.fingerprint == load_cifar100("test", official).fingerprint


def test_a_damaged_archive_is_an_error(tmp_path):
    (tmp_path / ARCHIVE).write_bytes(b"not an archive")
    with pytest.raises(ValueError, match="damaged"):
        load_cifar100("test", tmp_path)


def test_a_damaged_or_missing_file_is_an_error_and_no_pickle_is_opened(official):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle with a wrong MD5 was opened",))

    path = official / "cifar-100-python" / "train"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", pickle.dumps(Trap())):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged: got MD5"):
            load_cifar100("train", official)
    path.unlink()
    with pytest.raises(ValueError, match="missing"):
        load_cifar100("train", official)


def test_no_mutant_of_the_official_files_passes_for_cifar100(official, mutants, monkeypatch):
    true = load_cifar100("test", official).fingerprint
    monkeypatch.setitem(facts.FINGERPRINTS, "test", true)
    rng = np.random.default_rng(0)
    for name in ("test", "meta"):
        path = official / "cifar-100-python" / name
        whole = path.read_bytes()
        for mutant in mutants(whole, rng, 150):
            if mutant == whole:
                continue
            path.write_bytes(mutant)
            with pytest.raises(ValueError, match="is damaged"):
                load_cifar100("test", official)
        path.write_bytes(whole)
    assert load_cifar100("test", official).is_cifar100


# --- hosts ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("default_data")
def test_the_official_archive_is_downloaded_once_and_kept(host, official, point_at):
    point_at(f"{host.address}/whole", NOWHERE)
    first = load_cifar100("test")
    assert first.source == "official"
    assert first.fingerprint == load_cifar100("test", official).fingerprint
    assert load_cifar100("train").source == "official"
    assert host.asked == ["whole"]


@pytest.mark.parametrize("kind", ["cut", "spoiled", "unknown", "stalling"])
def test_a_bad_transfer_leaves_no_file_under_the_final_name(
    kind, host, point_at, tmp_path, monkeypatch
):
    if kind == "stalling":
        monkeypatch.setattr("cifarlib.data.official.STALL_SECONDS", 0.5)
    point_at(f"{host.address}/{kind}", NOWHERE)
    with pytest.raises(ConnectionError, match="could not download"):
        load_cifar100("test", tmp_path / "new", "official")
    assert not list((tmp_path / "new").iterdir())
    assert kind in host.asked or kind == "stalling"  # which is still being served


def test_a_transfer_broken_by_chance_is_tried_again(host, point_at, tmp_path):
    point_at(f"{host.address}/once-cut", NOWHERE)
    assert load_cifar100("test", tmp_path / "new", "official").source == "official"
    assert host.asked == ["cut", "whole"]


@pytest.fixture
def slow(monkeypatch) -> None:
    """No machine is too fast for a slow host to count as one."""
    monkeypatch.setattr("cifarlib.data.official.SLOW_BYTES", 1e12)
    monkeypatch.setattr("cifarlib.data.official.WATCHED_SECONDS", 0.2)


@pytest.mark.usefixtures("slow", "default_data")
@pytest.mark.parametrize("kind", ["unknown", "slow"])
def test_the_hub_stands_in_for_an_official_host_that_is_down_or_slow(
    kind, host, official, point_at, monkeypatch
):
    point_at(f"{host.address}/{kind}", host.address)
    true = {split: load_cifar100(split, official).fingerprint for split in SPLITS}
    monkeypatch.setattr(facts, "FINGERPRINTS", true)
    for split in SPLITS:
        images = load_cifar100(split)
        assert images.source == "hub"
        assert images.is_cifar100
        assert len(images.superclasses) == 20


@pytest.mark.usefixtures("slow", "default_data")
def test_a_slow_official_host_is_waited_for_where_the_hub_is_no_help(host, point_at):
    point_at(f"{host.address}/slow", NOWHERE)
    assert load_cifar100("test").source == "official"


# --- disks ----------------------------------------------------------------------------------------


@pytest.fixture
def archive_alone(official, tmp_path, monkeypatch) -> Path:
    """A folder that holds the official archive and nothing else."""
    root = tmp_path / "archive"
    root.mkdir()
    with tarfile.open(root / ARCHIVE, "w:gz") as tar:
        tar.add(official / "cifar-100-python", "cifar-100-python")
    monkeypatch.setattr(facts, "ARCHIVE_MD5", file_digest(root / ARCHIVE))
    return root


def test_an_archive_where_nothing_can_be_written_is_read_as_it_is(
    archive_alone, official, monkeypatch
):
    # no folder can be made there, not even by a superuser
    monkeypatch.setattr("cifarlib.data.official.temporary_name", lambda path: Path("/proc/nothing"))
    for split in SPLITS:
        read = load_cifar100(split, archive_alone)
        assert read.fingerprint == load_cifar100(split, official).fingerprint
    assert [path.name for path in archive_alone.iterdir()] == [ARCHIVE]


def be_killed_while_unpacking(root: Path) -> None:
    """Be a process that stays in the middle of unpacking until it is killed."""
    with _workshop(root / OFFICIAL_FOLDER) as workshop:
        (workshop / "train").write_bytes(b"half a file")
        time.sleep(600)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not fork")
def test_what_a_killed_process_left_is_cleared_at_the_next_start(archive_alone):
    process = multiprocessing.get_context("fork").Process(
        target=be_killed_while_unpacking, args=(archive_alone,)
    )
    process.start()
    while not list(archive_alone.glob(".*.tmp/train")):
        time.sleep(0.01)
    process.kill()
    process.join()
    assert list(archive_alone.glob(".*.tmp"))
    load_cifar100("test", archive_alone)
    names = {path.name for path in archive_alone.iterdir()}
    assert names == {ARCHIVE, OFFICIAL_FOLDER}


def test_what_a_living_process_writes_is_left_to_it(archive_alone):
    mine = temporary_name(archive_alone / "mine")
    elsewhere = archive_alone / ".theirs.1@another-machine.tmp"
    for path in (mine, elsewhere):
        path.mkdir()
    load_cifar100("test", archive_alone)
    assert mine.exists()
    assert elsewhere.exists()
    two_days_ago = time.time() - 2 * 24 * 60 * 60
    os.utime(elsewhere, (two_days_ago, two_days_ago))
    clear_left_overs(archive_alone)
    assert mine.exists()
    assert not elsewhere.exists()


@pytest.mark.usefixtures("default_data")
def test_a_full_disk_is_an_error_and_not_a_reason_for_the_stand_in(host, point_at):
    point_at(f"{host.address}/whole", NOWHERE)
    said = r"cannot write .*File too large"
    with full_disk(), pytest.raises(OSError, match=said):
        load_cifar100("test")


def test_a_drip_of_bytes_is_not_waited_for(host, point_at, tmp_path, monkeypatch):
    monkeypatch.setattr("cifarlib.data.official.DEAD_BYTES", 1e12)
    monkeypatch.setattr("cifarlib.data.official.WATCHED_SECONDS", 0.2)
    point_at(f"{host.address}/slow", NOWHERE)
    with pytest.raises(ConnectionError, match="kB/s is too slow"):
        load_cifar100("test", tmp_path / "new", "official")
