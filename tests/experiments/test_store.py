"""Recorded runs are found, one's own first, chosen fairly, and published only if they are sound."""

import json
import shutil

import pytest
import torch
from helpers import SMOKE, copy_as_true, fixed_batches, write_signed
from safetensors.torch import load, save

from cifarlib import (
    collect_runs,
    find_run,
    largest_run,
    load_published_model,
    load_runs,
    published_model_run,
    run,
)
from cifarlib.experiments.store import (
    find_own_run,
    find_published_run,
    find_superseded,
    publish,
    record_paths,
)
from cifarlib.tools.check import check_record
from cifarlib.utils.files import write_bytes

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


# --- publish --------------------------------------------------------------------------------------


def test_a_run_on_other_pictures_is_not_published(finished, own):
    with pytest.raises(ValueError, match="it was not trained on CIFAR-100"):
        publish(finished.path.parent)
    assert not list((own.parent / "published").iterdir())


def test_if_one_record_fails_its_check_none_is_published(finished, own):
    copy_as_true(finished, own)
    path = copy_as_true(finished, own, "z-other", seed=1)
    path.write_text(path.read_text(encoding="utf-8").replace('"seed": 1', '"seed": 2'))
    with pytest.raises(ValueError, match=r"cannot publish .*z-other.*it was edited"):
        publish(own)
    assert not list((own.parent / "published").iterdir())


def test_a_published_record_has_its_predictions_and_no_weights(finished, own):
    copy_as_true(finished, own)
    (path,) = publish(own)
    published = find_published_run(SMOKE.id)
    assert published.path == path
    assert path.name == f"{SMOKE.id}.json"
    assert published.predictions().keys() == finished.predictions().keys()
    with pytest.raises(ValueError, match="has no weights here"):
        published.load_model()


def test_a_net_that_is_put_along_is_the_records_own(finished, own, test):
    copy_as_true(finished, own)
    publish(own, weights=True)
    run = published_model_run()
    assert (run.id, run.has_weights, check_record(run.path)) == (SMOKE.id, True, [])
    # its filters are rounded: the answers are those of the record to the third digit or so
    rounded = load_published_model()
    assert not rounded.training
    with torch.no_grad():
        batch = next(iter(fixed_batches(test[:64], normalize=True)))[0]
        ours, whole = rounded(batch), finished.load_model()(batch)
    torch.testing.assert_close(ours, whole, atol=0.02, rtol=0.02)
    assert not torch.equal(ours, whole)


@pytest.mark.parametrize("damage", ["a flipped bit", "another net's"])
def test_a_net_that_is_not_its_records_is_refused(damage, finished, own):
    copy_as_true(finished, own)
    publish(own, weights=True)
    path = published_model_run().best_path
    state = load(path.read_bytes())
    if damage == "a flipped bit":
        content = bytearray(path.read_bytes())
        content[-9] ^= 1
    else:
        content = save({name: tensor + 1 for name, tensor in state.items()})
    path.write_bytes(content)
    with pytest.raises(ValueError, match="are damaged, or not those of their record"):
        load_published_model()
    (problem,) = check_record(published_model_run().path)
    assert "are damaged" in problem


def test_a_net_goes_with_the_record_that_another_takes_the_place_of(finished, own):
    path = copy_as_true(finished, own)
    publish(own, weights=True)
    record = json.loads(path.read_text(encoding="utf-8"))
    record["provenance"]["device"] = "another machine"
    write_signed(path, record)
    publish(own, replace=True)
    with pytest.raises(ValueError, match="no trained net is bundled"):
        load_published_model()
    assert not find_superseded(SMOKE.id).has_weights


def test_a_run_whose_net_is_gone_cannot_be_put_along(finished, own):
    path = copy_as_true(finished, own)
    for weights in path.parent.glob("best*"):
        weights.unlink()
    with pytest.raises(ValueError, match="it has no weights, or not their hash, to add"):
        publish(own, weights=True)
    assert find_published_run(SMOKE.id) is None


def test_the_net_that_comes_along_is_hidden_with_the_records(monkeypatch):
    monkeypatch.setenv("CIFARLIB_RECORDS", "none")
    with pytest.raises(ValueError, match="CIFARLIB_RECORDS not to be none"):
        load_published_model()


def test_a_folder_without_runs_cannot_be_published(tmp_path):
    with pytest.raises(ValueError, match=r"holds no record\.json"):
        publish(tmp_path)


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


# --- published twice ------------------------------------------------------------------------------


def test_two_records_of_one_experiment_are_not_published(finished, own):
    copy_as_true(finished, own / "a")
    copy_as_true(finished, own / "b")
    with pytest.raises(ValueError, match=rf"cannot publish .*: both are {SMOKE.id}"):
        publish(own)


def test_runs_that_were_made_again_to_be_compared_are_not_published(finished, own):
    copy_as_true(finished, own)
    copy_as_true(finished, own / "reproduced")
    (path,) = publish(own)
    assert path.stem == finished.experiment.id


def test_another_run_of_what_is_published_needs_to_be_asked_for(finished, own):
    path = copy_as_true(finished, own)
    (published,) = publish(own)
    assert publish(own) == [published]  # the same again does no harm
    record = json.loads(path.read_text(encoding="utf-8"))
    record["provenance"]["device"] = "another machine"
    write_signed(path, record)
    before = published.read_bytes()
    with pytest.raises(ValueError, match="another run of its experiment is published: --replace"):
        publish(own)
    assert published.read_bytes() == before
    publish(own, replace=True)
    assert find_published_run(SMOKE.id).provenance["device"] == "another machine"
    assert check_record(published) == []
    # what was there is kept, as it was
    earlier = find_superseded(SMOKE.id)
    assert earlier.path.read_bytes() == before
    assert check_record(earlier.path) == []


def test_hidden_records_are_not_overwritten_unasked(finished, own, monkeypatch):
    path = copy_as_true(finished, own)
    (published,) = publish(own)
    before = published.read_bytes()
    record = json.loads(path.read_text(encoding="utf-8"))
    record["provenance"]["device"] = "another machine"
    write_signed(path, record)
    monkeypatch.setenv("CIFARLIB_RECORDS", "none")
    with pytest.raises(ValueError, match="another run of its experiment is published"):
        publish(own)
    assert published.read_bytes() == before


def test_a_superseded_record_is_not_buried_under_another(finished, own):
    path = copy_as_true(finished, own)
    publish(own)
    for device in ("a second machine", "a third machine"):
        record = json.loads(path.read_text(encoding="utf-8"))
        record["provenance"]["device"] = device
        write_signed(path, record)
        if device == "a second machine":
            publish(own, replace=True)
    with pytest.raises(ValueError, match="holds an earlier run of it: move that away"):
        publish(own, replace=True)
    assert find_published_run(SMOKE.id).provenance["device"] == "a second machine"
    assert find_superseded(SMOKE.id).provenance["device"] == finished.provenance["device"]


@pytest.mark.parametrize("writes", range(4))
def test_a_stop_while_a_published_record_is_replaced_loses_none_and_pairs_none_falsely(
    writes, finished, own, monkeypatch
):
    path = copy_as_true(finished, own)
    publish(own)
    record = json.loads(path.read_text(encoding="utf-8"))
    record["provenance"]["device"] = "another machine"
    write_signed(path, record)
    left = iter(range(writes))

    def stopped(target, content):
        if next(left, None) is None:
            raise KeyboardInterrupt
        write_bytes(target, content)

    with monkeypatch.context() as patch:
        patch.setattr("cifarlib.experiments.store.write_bytes", stopped)
        with pytest.raises(KeyboardInterrupt):
            publish(own, replace=True)
    kept = [found for found in (find_published_run(SMOKE.id), find_superseded(SMOKE.id)) if found]
    assert any(found.provenance["device"] != "another machine" for found in kept)
    for found in kept:
        assert check_record(found.path) == []
    publish(own, replace=True)
    assert find_published_run(SMOKE.id).provenance["device"] == "another machine"
    assert check_record(find_published_run(SMOKE.id).path) == []
    assert check_record(find_superseded(SMOKE.id).path) == []


def test_a_field_that_an_experiment_has_not_is_named():
    with pytest.raises(ValueError, match="unknown field of Experiment 'size': "):
        load_runs(size=32)
