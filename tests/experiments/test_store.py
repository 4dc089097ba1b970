"""Recorded runs are found, one's own first, and chosen fairly."""

import json
import shutil

import pytest
from helpers import SMOKE, copy_as_true, write_signed

from cifarlib import find_run, load_published_model, load_runs, run
from cifarlib.experiments.store import (
    find_own_run,
    find_published_run,
    find_superseded,
    largest_run,
    record_paths,
)
from cifarlib.lessons.collect import collect_runs
from cifarlib.tools.publish import publish

SUPERSEDED_IDS = ("ResNet18-32px-imagenet-writeup_1e-3",)
OLD_IDS = {
    "ResNet18-32px-imagenet-writeup_1e-3": "ResNet18-32px-imagenet-writeup-lr_0.001",
    "ResNet18-32px-imagenet-three_1e-3": "ResNet18-32px-imagenet-three",
    "ResNet18-32px-imagenet-three_1e-4": "ResNet18-32px-imagenet-three-lr_0.0001",
}


# --- find -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("old_id", "today"), OLD_IDS.items())
def test_published_records_with_an_old_name_are_found_under_todays(old_id, today):
    find = find_published_run
    if old_id in SUPERSEDED_IDS:
        find = find_superseded
    found = find(today)
    assert found.path.stem == old_id
    assert found.id == found.experiment.id == today
    assert find_published_run(old_id) is None


@pytest.mark.parametrize("fingerprint", ["", "@1a2b3c4d"])
@pytest.mark.parametrize(("old_id", "today"), OLD_IDS.items())
def test_ones_own_folder_with_an_old_name_is_found_under_todays(
    old_id, today, fingerprint, finished, own
):
    fields = {"backbone": "ResNet18", "init": "imagenet", "budget": old_id.split("-", 3)[3]}
    path = copy_as_true(finished, own, old_id + fingerprint, **fields)
    found = find_own_run(today + fingerprint)
    assert found.path == path
    assert found.id == today + fingerprint
    assert found.experiment.id == today
    assert find_run(today + fingerprint).path == path
    assert list(record_paths()) == [today + fingerprint]


def test_a_folder_under_todays_name_comes_before_one_under_an_old(finished, own):
    for old_id, today in OLD_IDS.items():
        fields = {"backbone": "ResNet18", "init": "imagenet"}
        copy_as_true(finished, own, old_id, budget=old_id.split("-", 3)[3], **fields)
        path = copy_as_true(finished, own, today, budget=today.split("-")[3], **fields)
        assert find_own_run(today).path == path


def test_ones_own_run_comes_before_the_published_one(finished, own):
    assert find_run(SMOKE.id) is None
    path = copy_as_true(finished, own)
    (published,) = publish(own)
    assert find_run(SMOKE.id).path == find_own_run(SMOKE.id).path == path
    assert find_published_run(SMOKE.id).path == published
    assert [run.path for run in load_runs()] == [path]
    assert find_run(SMOKE.id, runs_dir=own / "none").path == published


def test_runs_are_picked_by_the_fields_of_their_experiment(finished, own):
    copy_as_true(finished, own)
    assert len(load_runs(budget="smoke", image_size=32)) == 1
    assert load_runs(budget="quick") == []


def test_runs_on_other_pictures_are_shown_only_if_asked_for(finished):
    folder = finished.path.parent.parent
    assert finished.id in [run.id for run in load_runs(runs_dir=folder, any_data=True)]
    assert finished.id not in [run.id for run in load_runs(runs_dir=folder)]


def test_published_records_can_be_hidden(finished, own, monkeypatch):
    path = copy_as_true(finished, own)
    publish(own)
    record = json.loads(path.read_text(encoding="utf-8"))
    record["provenance"]["device"] = "another machine"
    write_signed(path, record)
    publish(own, replace=True)
    monkeypatch.setenv("CIFARLIB_RUNS", str(own / "none"))
    assert len(load_runs()) == 1
    assert find_superseded(SMOKE.id) is not None
    monkeypatch.setenv("CIFARLIB_RECORDS", "none")
    assert load_runs() == []
    assert find_run(SMOKE.id) is None
    assert find_superseded(SMOKE.id) is None


# --- choose ---------------------------------------------------------------------------------------


@pytest.fixture
def hold(finished, own):
    """A function that gives a backbone a recorded run of a budget."""

    def write(backbone: str, budget: str) -> None:
        name = f"{backbone}-32px-scratch-{budget}"
        copy_as_true(finished, own, name, backbone=backbone, budget=budget)

    return write


def test_figures_show_the_series_at_the_write_ups_scale_or_leave_it_open(hold):
    hold("ResNet18", "writeup")
    hold("ResNet18", "quick")
    hold("ResNet50", "quick")
    runs = collect_runs(["ResNet18", "ResNet50"], 32, "scratch")
    assert runs["ResNet18"].experiment.budget == "writeup"
    assert runs["ResNet50"] is None


def test_figures_show_a_readers_own_backbone_at_its_largest_budget(hold):
    hold("test_resnet", "smoke")
    hold("test_resnet", "quick")
    runs = collect_runs(["test_resnet"], 32, "scratch")
    assert runs["test_resnet"].experiment.budget == "quick"


def test_the_largest_run_is_of_the_rate_that_was_asked_for():
    cell = ("ResNet18", 32, "imagenet")
    assert largest_run(*cell).id == "ResNet18-32px-imagenet-writeup"
    assert largest_run(*cell, lr=1e-3).id == "ResNet18-32px-imagenet-writeup-lr_0.001"
    assert largest_run(*cell, budgets=["three"], lr=1e-4).history.lr[0] == 1e-4
    assert largest_run(*cell, lr=0.5) is None


# --- the bundled net ------------------------------------------------------------------------------


def test_the_net_that_comes_along_is_hidden_with_the_records(monkeypatch):
    monkeypatch.setenv("CIFARLIB_RECORDS", "none")
    with pytest.raises(ValueError, match="CIFARLIB_RECORDS not to be none"):
        load_published_model()


# --- pictures of one's own ------------------------------------------------------------------------


@pytest.fixture
def published_and_mine(finished, own, mine, monkeypatch):
    """A published record on CIFAR-100, and pictures of one's own in the data folder."""
    path = copy_as_true(finished, own)
    (published,) = publish(own)
    path.unlink()
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    return published


def looked_up() -> list:
    """Return what every way of looking a run up finds for one cell."""
    cell = (SMOKE.backbone, 32, "scratch")
    found = [find_run(SMOKE), largest_run(*cell)]
    return [*found, *(load_runs(budget="smoke") or [None])]


def test_no_way_of_looking_puts_cifar100s_runs_beside_ones_own(published_and_mine, monkeypatch):
    assert looked_up() == [None] * 3
    on_mine = run(SMOKE, progress=False)
    assert [found.path for found in looked_up()] == [on_mine.path] * 3
    assert collect_runs([SMOKE.backbone], 32, "scratch")[SMOKE.backbone].path == on_mine.path
    monkeypatch.delenv("CIFARLIB_DATA")
    assert [found.path for found in looked_up()] == [published_and_mine] * 3


def test_a_run_on_earlier_pictures_is_not_that_on_todays(
    published_and_mine, mine, tmp_path, monkeypatch
):
    pictures = tmp_path / "pictures"
    shutil.copytree(mine, pictures)
    monkeypatch.setenv("CIFARLIB_DATA", str(pictures))
    run(SMOKE, progress=False)
    assert None not in looked_up()
    (pictures / "train" / "red" / "0.jpg").unlink()
    assert looked_up() == [None] * 3


def test_what_stands_beside_published_numbers_is_on_cifar100(published_and_mine):
    found = largest_run(SMOKE.backbone, 32, "scratch", cifar100=True)
    assert found.path == published_and_mine


def test_records_that_are_neither_shown_nor_hidden_are_a_slip(monkeypatch):
    monkeypatch.setenv("CIFARLIB_RECORDS", "non")
    with pytest.raises(ValueError, match="unknown CIFARLIB_RECORDS 'non': did you mean 'none'"):
        load_runs()


def test_a_field_that_an_experiment_has_not_is_named():
    with pytest.raises(ValueError, match="unknown field of Experiment 'size': "):
        load_runs(size=32)
