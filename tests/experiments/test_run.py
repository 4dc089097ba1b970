"""A run is trained once, recorded whole, found again, and the same whoever trains it."""

import copy
import errno
import importlib.metadata
import json
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from filelock import FileLock, SoftFileLock
from helpers import (
    SMOKE,
    TOO_DEEP,
    StopAfter,
    assert_same_records,
    assert_same_run,
    copy_as_true,
    fit_with,
    run_identity,
    snapshot,
)
from PIL import Image
from safetensors.torch import save_file

from cifarlib import (
    BUDGETS,
    RECIPES,
    Budget,
    Callback,
    Experiment,
    ImageSet,
    create_model,
    load_cifar100,
    run,
)
from cifarlib.data import facts
from cifarlib.experiments.record import read_record
from cifarlib.tools.check import check_record
from cifarlib.tools.publish import publish
from cifarlib.utils.files import write_bytes

# --- from the record ------------------------------------------------------------------------------


def test_the_same_run_comes_back_from_its_record_untouched(finished, train, test):
    folder = finished.path.parent.parent
    before = snapshot(folder)
    again = run(SMOKE, runs_dir=folder, data=(train, test))
    assert snapshot(folder) == before
    assert again.history.equals(finished.history)
    assert_same_run(finished, again)


def test_a_published_run_is_found_without_loading_a_picture(finished, own, monkeypatch, tmp_path):
    path = copy_as_true(finished, own)
    (published,) = publish(own)
    path.unlink()
    folder = tmp_path / "cifar-100-python"  # whoever reads these pictures fails
    folder.mkdir()
    monkeypatch.setenv("CIFARLIB_DATA", str(tmp_path))
    assert run(SMOKE).path == published
    with pytest.raises(ValueError, match="is missing"):
        run(SMOKE, published=False)


def test_ones_own_pictures_do_not_get_a_published_record(finished, own, mine, monkeypatch):
    copy_as_true(finished, own)
    publish(own)
    monkeypatch.setenv("CIFARLIB_RUNS", str(own / "none"))
    assert run(SMOKE).published
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    on_mine = run(SMOKE, progress=False)
    assert not on_mine.published
    assert on_mine.provenance["data"]["name"] == "not CIFAR-100: folder"


def test_pictures_handed_over_do_not_get_a_published_record(finished, own, train, test):
    copy_as_true(finished, own)
    (published,) = publish(own)
    (own / SMOKE.id / "record.json").unlink()
    theirs = run(SMOKE, data=(train[:900], test[:50]), progress=False)
    assert theirs.path != published
    assert theirs.path.parent.parent == own


def test_retrain_trains_anew_over_the_record(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    first = run(SMOKE, runs_dir=tmp_path, progress=False)
    written = first.path.stat().st_mtime_ns
    again = run(SMOKE, retrain=True, runs_dir=tmp_path, progress=False)
    assert again.path == first.path
    assert again.path.stat().st_mtime_ns > written
    assert again.test == first.test


# --- every number ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_seed_fixes_every_number_and_workers_change_none(finished, train, test, tmp_path):
    again = run(SMOKE, runs_dir=tmp_path, data=(train, test), num_workers=1, progress=False)
    assert_same_run(finished, again)


def test_another_seed_gives_other_numbers(finished, train, test, tmp_path):
    other = replace(SMOKE, seed=1)
    found = run(other, runs_dir=tmp_path, data=(train, test), progress=False)
    assert found.history.train_loss[0] != finished.history.train_loss[0]


def test_another_learning_rate_is_another_run_at_that_rate(finished, train, test, tmp_path):
    other = replace(SMOKE, lr=0.25)
    found = run(other, runs_dir=tmp_path, data=(train, test), progress=False)
    assert found.experiment.lr == found.history.lr[0] == 0.25
    assert found.id.startswith(f"{SMOKE.id}-lr_0.25@")
    assert finished.history.lr[0] == SMOKE.learning_rate == 1e-3


def test_ones_own_pictures_go_from_folder_to_test_score(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    found = run(SMOKE, runs_dir=tmp_path, progress=False)
    assert found.provenance["data"]["counts"] == {"train": 96, "valid": 24, "test": 24}
    assert found.predictions()["classes"].shape == (24, 3)
    assert found.test["top5"] == 1.0
    assert check_record(found.path) == []
    assert found.load_model()(torch.zeros(1, 3, 32, 32)).shape == (1, 3)


def test_a_part_of_cifar100_or_another_test_is_another_run(train, test):
    parts = [(train, test), (train[1:], test), (train, test[:-1])]
    ids = {run_identity(SMOKE, *both) for both in parts}
    assert len(ids) == 3
    assert SMOKE.id not in ids


def test_a_part_of_cifar100_is_not_recorded_as_cifar100(train, test, tmp_path, monkeypatch):
    fingerprints = {"train": train.fingerprint, "test": test.fingerprint}
    monkeypatch.setattr(facts, "FINGERPRINTS", fingerprints)
    assert train.is_cifar100
    found = run(SMOKE, runs_dir=tmp_path, data=(train[1:], test), progress=False)
    assert found.provenance["data"]["cifar100"] is False
    assert "@" in found.path.parent.name


def test_a_run_begins_with_weights_from_a_folder_and_says_so(mine, tmp_path, monkeypatch):
    whole = create_model("test_resnet", 1000)
    save_file(whole.state_dict(), tmp_path / "test_resnet.safetensors", {"origin": "a test"})
    monkeypatch.setenv("CIFARLIB_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    tuned = replace(SMOKE, init="imagenet")
    found = run(tuned, runs_dir=tmp_path / "runs", progress=False)
    assert found.provenance["weights"]["origin"] == "a test"
    assert len(found.history) == 1


def test_two_runs_in_two_threads_get_the_numbers_of_one_alone(train, test, tmp_path):
    both = [replace(SMOKE, seed=seed) for seed in (11, 12)]

    def run_in(folder):
        return lambda one: run(one, runs_dir=folder, data=(train, test), progress=False)

    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(run_in(tmp_path / "together"), both))
    for found, alone in zip(together, map(run_in(tmp_path / "alone"), both), strict=True):
        assert_same_run(found, alone)


def test_a_run_leaves_the_readers_random_numbers_as_they_were(train, test, tmp_path):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    run(SMOKE, runs_dir=tmp_path, data=(train, test), progress=False)
    assert torch.equal(torch.get_rng_state(), before)


# --- what stands in the way -----------------------------------------------------------------------


def test_a_run_that_cannot_be_leaves_no_folder(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    with pytest.raises(ValueError, match=f"{TOO_DEEP} cannot take 16 px pictures"):
        run(Experiment(TOO_DEEP, 16, "scratch", "smoke"), runs_dir=tmp_path)
    assert not list(tmp_path.iterdir())


HOLDER = """
import sys
from filelock import FileLock, SoftFileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    input()
"""


def test_a_run_being_trained_elsewhere_is_said_so_and_a_dead_process_lets_it_go(
    train, test, tmp_path
):
    folder = tmp_path / run_identity(SMOKE, train, test)
    folder.mkdir()
    command = [sys.executable, "-c", HOLDER, str(folder / "lock")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="another process is training"):
            run(SMOKE, runs_dir=tmp_path, data=(train, test))
        other.kill()
    with FileLock(folder / "lock", timeout=5):
        pass


@pytest.mark.slow
def test_a_folder_left_by_a_kill_changes_no_number(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    tuned = Experiment("EfficientNet_lite0", 32, "imagenet", "smoke")
    run_id = run_identity(tuned, load_cifar100("train"), load_cifar100("test"))
    left = tmp_path / "left" / run_id
    left.mkdir(parents=True)
    (left / ".checkpoint.pt.1.tmp").touch()
    for folder in ("clean", "left"):
        runs_dir = tmp_path / folder
        run(tuned, runs_dir=runs_dir, num_workers=0, published=False, progress=False)
    assert not list(left.glob(".*.tmp"))
    assert_same_records(tmp_path / "clean", tmp_path / "left")


# --- made otherwise -------------------------------------------------------------------------------


@pytest.fixture
def put_weights(mine, tmp_path, monkeypatch):
    """A function that puts weights drawn from a seed where they are looked for."""
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    monkeypatch.setenv("CIFARLIB_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()

    def put(seed: int) -> None:
        torch.manual_seed(seed)
        state = create_model("test_resnet", 1000).state_dict()
        save_file(state, tmp_path / "weights" / "test_resnet.safetensors")

    return put


TUNED = replace(SMOKE, init="imagenet", budget="three")


def test_a_run_stopped_under_one_file_of_weights_does_not_go_on_under_another(
    put_weights, tmp_path, monkeypatch
):
    runs = tmp_path / "runs"
    put_weights(1)
    with monkeypatch.context() as patch:  # stopped after its first epoch
        patch.setattr("cifarlib.experiments.run.fit", fit_with(StopAfter(1)))
        with pytest.raises(KeyboardInterrupt):
            run(TUNED, runs_dir=runs, progress=False)
    put_weights(2)
    with pytest.raises(ValueError, match=r"begun otherwise \(weights \w{64}, expected \w{64}\)"):
        run(TUNED, runs_dir=runs, progress=False)
    put_weights(1)
    resumed = run(TUNED, runs_dir=runs, progress=False)
    alone = run(TUNED, runs_dir=tmp_path / "alone", progress=False)
    assert_same_run(alone, resumed)


def test_a_record_made_from_other_weights_is_not_handed_out(put_weights, tmp_path):
    put_weights(1)
    first = run(TUNED, runs_dir=tmp_path / "runs", progress=False)
    put_weights(2)
    with pytest.raises(ValueError, match=r"was made with another weights than now: put the old"):
        run(TUNED, runs_dir=tmp_path / "runs", progress=False)
    other = run(TUNED, retrain=True, runs_dir=tmp_path / "runs", progress=False)
    hashes = {found.provenance["weights"]["tensors_sha256"] for found in (first, other)}
    assert len(hashes) == 2


def test_a_record_stands_where_no_weights_are_at_hand(put_weights, tmp_path, monkeypatch):
    put_weights(1)
    first = run(TUNED, runs_dir=tmp_path / "runs", progress=False)
    monkeypatch.delenv("CIFARLIB_WEIGHTS")
    monkeypatch.setattr("cifarlib.models.weights._from_cache", lambda name: None)
    assert_same_run(first, run(TUNED, runs_dir=tmp_path / "runs", progress=False))


@pytest.mark.parametrize("edited", ["budget", "recipe"])
def test_a_record_made_before_a_name_was_edited_is_not_handed_out(
    edited, finished, train, test, monkeypatch
):
    if edited == "budget":
        shorter = replace(BUDGETS["smoke"], epochs={"scratch": 1, "imagenet": 1})
        monkeypatch.setitem(BUDGETS, "smoke", shorter)
        said = "made with another epochs than now"
    else:
        heavier = replace(RECIPES["writeup"], weight_decay=0.1)
        monkeypatch.setitem(RECIPES, "writeup", heavier)
        said = "made with another recipe than now"
    with pytest.raises(ValueError, match=said):
        run(SMOKE, runs_dir=finished.path.parent.parent, data=(train, test))


# --- bookkeeping ----------------------------------------------------------------------------------


def test_a_library_under_another_name_costs_no_run(train, test, tmp_path, monkeypatch):
    def not_under_this_name(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", not_under_this_name)
    found = run(SMOKE, runs_dir=tmp_path, data=(train, test), progress=False)
    versions = found.provenance["versions"]
    assert versions["torch"] == versions["timm"] == "unknown"
    assert versions["opencv"] == cv2.__version__


def test_bookkeeping_that_fails_fails_before_training(train, test, tmp_path, monkeypatch):
    def broken(torch_device: object) -> str:
        raise OSError("no such device")

    monkeypatch.setattr("cifarlib.experiments.provenance.describe_device", broken)
    monkeypatch.setattr("cifarlib.experiments.run.fit", pytest.fail)
    with pytest.raises(OSError, match="no such device"):
        run(SMOKE, runs_dir=tmp_path, data=(train, test))


def test_ones_own_pictures_are_read_at_the_runs_size_and_the_record_says_so(
    mine, tmp_path, monkeypatch
):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    sides = []
    for size in (32, 48):
        found = run(replace(SMOKE, image_size=size), runs_dir=tmp_path, progress=False)
        sides.append(found.provenance["data"]["side"])
    assert sides == [32, 48]


def test_a_size_that_the_augmentation_cannot_take_is_said_before_training(train, test, tmp_path):
    said = r"augmentation 'writeup' cannot take 1 px pictures \(CoarseDropout: "
    with pytest.raises(ValueError, match=said):
        run(replace(SMOKE, image_size=1), runs_dir=tmp_path, data=(train, test))
    assert not list(tmp_path.iterdir())


# --- stopped between two files --------------------------------------------------------------------


@pytest.mark.parametrize("written", [1, 2, 3, 4])
def test_whenever_the_writing_of_a_record_stops_the_files_belong_together(
    written, finished, mine, tmp_path, monkeypatch
):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    first = run(SMOKE, runs_dir=tmp_path, progress=False)
    monkeypatch.setitem(RECIPES, "writeup", replace(RECIPES["writeup"], weight_decay=0.1))
    files = []

    def stop_after(path, content):
        write_bytes(path, content)
        files.append(path)
        if len(files) == written:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cifarlib.experiments.record.write_bytes", stop_after)
        patch.setattr(
            "cifarlib.experiments.record.write_json",
            lambda path, record: stop_after(path, json.dumps(record).encode()),
        )
        if written < 4:
            with pytest.raises(KeyboardInterrupt):
                run(SMOKE, retrain=True, runs_dir=tmp_path, progress=False)
        else:
            run(SMOKE, retrain=True, runs_dir=tmp_path, progress=False)
    found = read_record(first.path)
    assert check_record(first.path) == []
    found.load_model()
    assert (found.provenance == first.provenance) == (written < 3)


def test_training_anew_does_train_though_a_stop_left_the_checkpoint(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    with monkeypatch.context() as patch:  # killed before the checkpoint is removed
        patch.setattr("pathlib.Path.unlink", press_ctrl_c_at("checkpoint.pt"))
        with pytest.raises(KeyboardInterrupt):
            run(SMOKE, runs_dir=tmp_path, progress=False)
    (checkpoint,) = tmp_path.glob("*/checkpoint.pt")
    trained = []

    class Counts(Callback):
        def on_epoch_end(self, training):
            trained.append(training.history[-1]["epoch"])

    monkeypatch.setattr("cifarlib.experiments.run.fit", fit_with(Counts()))
    run(SMOKE, retrain=True, runs_dir=tmp_path, progress=False)
    assert trained == list(range(1, SMOKE.epochs + 1))
    assert not checkpoint.exists()


def press_ctrl_c_at(name: str):
    """Return an unlink that is stopped at a file of this name."""
    unlink = Path.unlink

    def stopped(path, missing_ok=False):
        if path.name == name:
            raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    return stopped


def test_weights_that_are_damaged_or_renamed_are_refused(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    found = run(SMOKE, runs_dir=tmp_path, progress=False)
    whole = found.best_path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    found.best_path.write_bytes(flipped)
    with pytest.raises(ValueError, match="are damaged, or not those of their record"):
        found.load_model()
    found.best_path.write_bytes(whole)
    renamed = replace(found, experiment=replace(SMOKE, backbone="test_efficientnet"))
    with pytest.raises(ValueError, match="do not fit the net"):
        renamed.load_model()


# --- another machine half-way ---------------------------------------------------------------------


def test_a_run_that_goes_on_elsewhere_says_where_each_epoch_was_made(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))

    with monkeypatch.context() as patch:
        patch.setattr("cifarlib.experiments.run.fit", fit_with(StopAfter(1)))
        patch.setattr(
            "cifarlib.experiments.provenance.describe_device", lambda device: "a first machine"
        )
        with pytest.raises(KeyboardInterrupt):
            run(SMOKE, runs_dir=tmp_path, progress=False)
    found = run(SMOKE, runs_dir=tmp_path, progress=False)
    first, second = found.provenance["stretches"]
    assert (first["from_epoch"], first["device"]) == (1, "a first machine")
    assert (second["from_epoch"], second["device"]) == (2, found.provenance["device"])
    assert second["versions"] == found.provenance["versions"]


def test_a_run_on_one_machine_has_no_stretches(finished):
    assert "stretches" not in finished.provenance


# --- locks on file systems that have none ---------------------------------------------------------


@pytest.fixture
def no_flock(monkeypatch):
    """A file system whose locks are marks: files that say who made them."""
    fcntl = pytest.importorskip("fcntl", reason="POSIX's")

    def not_there(*arguments: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", not_there)


DIE_WITH_THE_MARK = """
import os, sys
from filelock import SoftFileLock
mark = SoftFileLock(sys.argv[1])
mark.acquire()
os._exit(0)
"""


@pytest.mark.filterwarnings("ignore::UserWarning")  # filelock's, of the missing flock
@pytest.mark.usefixtures("no_flock")
def test_the_mark_of_a_dead_process_is_taken_over_and_anothers_is_told(train, test, tmp_path):
    folder = tmp_path / run_identity(SMOKE, train, test)
    folder.mkdir()
    mark = SoftFileLock(folder / "lock")
    mark.acquire()
    said = (folder / "lock").read_text(encoding="utf-8")
    (folder / "holder.txt").write_text("process 3 on another-machine, since 2026-01-01 00:00:00,")
    (folder / "lock").write_text(said.replace(platform.node(), "another-machine"))
    message = (
        r"process 3 on another-machine, since .* is training .*if it is no more, delete .*lock"
    )
    with pytest.raises(ValueError, match=message):
        run(SMOKE, runs_dir=tmp_path, data=(train, test), progress=False)
    mark.release(force=True)
    (folder / "lock").unlink(missing_ok=True)
    subprocess.run([sys.executable, "-c", DIE_WITH_THE_MARK, str(folder / "lock")], check=True)
    assert (folder / "lock").exists()
    assert run(SMOKE, runs_dir=tmp_path, data=(train, test), progress=False).path.exists()


# --- what a run is about is told by its arrays ----------------------------------------------------


@pytest.fixture
def true_data(train, test, monkeypatch) -> tuple[ImageSet, ImageSet]:
    """Copies of both sets, which pass for CIFAR-100's own."""
    fingerprints = {"train": train.fingerprint, "test": test.fingerprint}
    monkeypatch.setattr(facts, "FINGERPRINTS", fingerprints)
    return copy.deepcopy(train), copy.deepcopy(test)


@pytest.fixture
def is_published(finished, own) -> Path:
    """The shared run as the published record of its experiment; there are none of one's own."""
    path = copy_as_true(finished, own)
    (published,) = publish(own)
    path.unlink()
    return published


def noisy_labels(images: ImageSet) -> ImageSet:
    """Change a set's labels where they are."""
    images.labels[:] = np.random.default_rng(0).permutation(images.labels)
    return images


def inverted(images: ImageSet) -> ImageSet:
    """Change a set's pixels where they are."""
    images.images[:] = 255 - images.images
    return images


@pytest.mark.parametrize("change", [noisy_labels, inverted])
@pytest.mark.parametrize("derive", ["itself", "indexed", "copied"])
def test_changed_arrays_are_another_run_and_not_called_cifar100(
    change, derive, true_data, is_published, tmp_path
):
    train, test = true_data
    assert run(SMOKE, data=(train, test)).path == is_published
    assert train.name == "CIFAR-100"
    others = {
        "itself": lambda: train,
        "indexed": lambda: train[np.arange(len(train))],
        "copied": lambda: copy.deepcopy(train),
    }
    changed = change(others[derive]())
    assert not changed.is_cifar100
    for retrain in (False, True):
        found = run(SMOKE, retrain, data=(changed, test), runs_dir=tmp_path / "r", progress=False)
        assert found.data_id != ""
        assert found.provenance["data"]["name"] != "CIFAR-100"
        assert found.provenance["data"]["cifar100"] is False


def test_a_set_that_nobody_changed_is_the_published_run_in_any_order(true_data, is_published):
    train, test = true_data
    shuffled = train[np.random.default_rng(0).permutation(len(train))]
    assert run(SMOKE, data=(shuffled, test[::-1])).path == is_published


# --- data of one's own in memory ------------------------------------------------------------------


def sorted_by_class(images: ImageSet) -> ImageSet:
    """Return images class by class, as people keep them."""
    return images[np.argsort(images.labels, kind="stable")]


def test_images_that_come_class_by_class_give_the_same_run(finished, train, test, tmp_path):
    data = (sorted_by_class(train), sorted_by_class(test))
    found = run(SMOKE, data=data, runs_dir=tmp_path, progress=False)
    assert found.id == finished.id
    assert_same_run(finished, found)
    assert len(np.unique(found.predictions()["labels"])) > 50


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": facts.CLASSES[::-1]}, "number 0 is 'apple' and 'worm'"),
        ({"classes": (*facts.CLASSES, "yeti")}, "100 and 101 of them"),
    ],
)
def test_a_test_set_of_other_classes_is_refused(change, words, train, test, tmp_path):
    with pytest.raises(ValueError, match=f"training set's classes are not the test set's: {words}"):
        run(SMOKE, data=(train, replace(test, **change)), runs_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_labels_that_became_no_class_are_refused(train, test, tmp_path):
    changed = copy.deepcopy(test)
    changed.labels[3] = 100
    with pytest.raises(ValueError, match=r"got labels from 0 to 100, .* each from 0 to 99"):
        run(SMOKE, data=(train, changed), runs_dir=tmp_path)


def test_a_run_on_ones_own_images_keeps_their_classes_and_white(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for split, n in {"train": 10, "test": 3}.items():
        for name, level in {"dark": 500, "bright": 3000}.items():
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for number in range(n):
                levels = rng.normal(level, 50, (20, 20)).astype(np.uint16)
                Image.fromarray(levels).save(folder / f"{number}.tif")
    monkeypatch.setenv("CIFARLIB_DATA", str(tmp_path / "data"))
    found = run(SMOKE, runs_dir=tmp_path / "runs", progress=False)
    assert found.class_names == ("bright", "dark")
    assert found.provenance["data"]["whites"] == {"integers": 4095, "floats": None}
    assert check_record(found.path) == []


# --- budgets of one's own -------------------------------------------------------------------------


def test_a_budget_of_ones_own_on_true_images_passes_its_check(true_data, tmp_path, monkeypatch):
    mine = Budget(
        n_train=128,
        n_valid=150,
        n_test=50,
        epochs={"scratch": 1},
        lr={"scratch": 1e-3},
    )
    monkeypatch.setitem(BUDGETS, "mine", mine)
    found = run(replace(SMOKE, budget="mine"), data=true_data, runs_dir=tmp_path, progress=False)
    assert found.provenance["data"]["name"] == "CIFAR-100"
    assert found.provenance["data"]["counts"] == {"train": 128, "valid": 150, "test": 50}
    assert check_record(found.path) == []


# --- clocks ---------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_meanwhile_leaves_a_record_that_can_be(
    train, test, tmp_path, monkeypatch
):
    now = datetime.now(UTC)
    ahead, later = (
        (now + timedelta(minutes=minutes)).isoformat(timespec="seconds") for minutes in (5, 1)
    )
    clock = iter([ahead, later])
    monkeypatch.setattr("cifarlib.experiments.provenance.utc_now", lambda: next(clock))
    found = run(SMOKE, data=(train, test), runs_dir=tmp_path, progress=False)
    assert found.provenance["started"] == ahead
    assert found.provenance["ended"] >= ahead
    assert check_record(found.path) == []


# --- images smaller than a net's own --------------------------------------------------------------


def test_a_net_on_images_too_small_for_bfloat16_is_recorded_in_float32(
    train, test, tmp_path, monkeypatch
):
    monkeypatch.setattr("cifarlib.training.device.cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    precisions = {}
    for image_size in (16, 64):
        cell = replace(SMOKE, image_size=image_size)
        found = run(cell, data=(train, test), runs_dir=tmp_path, progress=False)
        precisions[image_size] = found.provenance["precision"]
    assert precisions == {16: "float32", 64: "bfloat16"}


@pytest.mark.parametrize(
    ("pick", "words"),
    [
        (lambda train, test: train, "got data of ImageSet, expected"),
        (lambda train, test: (train, test, test), "got data of ImageSet, ImageSet, ImageSet"),
        (lambda train, test: (train.images, train.labels), "got data of ndarray, ndarray"),
        (lambda train, test: (train, test[:0]), "got a set without images"),
    ],
)
def test_what_is_not_two_sets_of_images_is_refused_before_training(
    pick, words, train, test, tmp_path
):
    with pytest.raises(ValueError, match=words):
        run(SMOKE, data=pick(train, test), runs_dir=tmp_path)
    assert not list(tmp_path.iterdir())
