"""A run is trained once, recorded whole, found again, and the same whoever trains it."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import FileLock
from helpers import (
    SMOKE,
    TOO_DEEP,
    assert_same_records,
    assert_same_run,
    copy_as_true,
    snapshot,
)
from safetensors.torch import save_file

from cifarlib import Experiment, collect_runs, create_model, load_cifar100, run
from cifarlib.runs.record import check_record
from cifarlib.runs.run import run_identity
from cifarlib.runs.store import publish

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


def test_a_part_of_cifar100_is_not_recorded_as_cifar100(train, test, tmp_path):
    part = replace(train, is_cifar100=True)[1:]
    found = run(SMOKE, runs_dir=tmp_path, data=(part, test), progress=False)
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


# --- what stands in the way -----------------------------------------------------------------------


def test_a_run_that_cannot_be_leaves_no_folder(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    with pytest.raises(ValueError, match=f"{TOO_DEEP} cannot take 16 px pictures"):
        run(Experiment(TOO_DEEP, 16, "scratch", "smoke"), runs_dir=tmp_path)
    assert not list(tmp_path.iterdir())


HOLDER = """
import sys
from filelock import FileLock
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


# --- collected ------------------------------------------------------------------------------------


def test_collected_runs_are_trained_where_none_is_recorded(own, mine, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    runs = collect_runs(["test_resnet"], 32, "scratch")
    assert runs["test_resnet"].experiment == SMOKE
    assert np.isfinite(runs["test_resnet"].history.train_loss).all()


def test_collected_runs_whose_weights_are_not_at_hand_stay_open(own, monkeypatch):
    monkeypatch.setattr("cifarlib.models.weights.silent", pytest.fail)  # nothing is asked for
    assert collect_runs(["SE-ResNeXt50"], 32, "imagenet") == {"SE-ResNeXt50": None}
    assert not own.exists()
