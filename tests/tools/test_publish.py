"""What is published is checked, whole and CIFAR-100's; it buries no other unasked."""

import json

import pytest
import torch
from helpers import SMOKE, copy_as_true, fixed_batches, write_signed
from safetensors.torch import load, save

from cifarlib import load_published_model
from cifarlib.experiments.store import find_published_run, find_superseded, published_model_run
from cifarlib.tools.check import check_record
from cifarlib.tools.publish import publish
from cifarlib.utils.files import write_bytes


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


def test_a_folder_without_runs_cannot_be_published(tmp_path):
    with pytest.raises(ValueError, match=r"holds no record\.json"):
        publish(tmp_path)


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
        patch.setattr("cifarlib.tools.publish.write_bytes", stopped)
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
