"""A record says how it was made; one that is damaged, edited or of an older name is known."""

import numpy as np
import pytest
from helpers import SMOKE, fixed_batches

from cifarlib import Experiment, choose_device, load_runs, predict
from cifarlib.evaluation.metrics import likeliest
from cifarlib.runs.check import check_record
from cifarlib.runs.record import (
    digest_of,
    read_record,
    recorded_experiment,
    todays_id,
)
from cifarlib.runs.run import EVAL_BATCH, run_identity
from cifarlib.runs.store import PUBLISHED

TUNED = ("ResNet18", 32, "imagenet")
OLD_RECORDS = {
    "ResNet18-32px-imagenet-writeup_1e-3": Experiment(*TUNED, "writeup", lr=1e-3),
    "ResNet18-32px-imagenet-three_1e-3": Experiment(*TUNED, "three"),
    "ResNet18-32px-imagenet-three_1e-4": Experiment(*TUNED, "three", lr=1e-4),
}


# --- what a record says ---------------------------------------------------------------------------


def test_a_record_says_how_it_was_made(finished):
    made = finished.provenance
    assert finished.experiment == SMOKE
    assert list(finished.history.epoch) == [1, 2]
    assert made["data"]["name"] == "not CIFAR-100: stand-in"
    assert made["data"]["counts"] == {"train": 400, "valid": 200, "test": 200}
    assert {len(value) for value in made["data"]["fingerprints"].values()} == {64}
    assert made["weights"] is None
    assert made["precision"] in ("float32", "bfloat16", "float16")
    assert {"python", "cifarlib", "torch", "timm", "albumentations"} <= set(made["versions"])
    assert made["seconds"] > 0
    assert len(finished.test["random_tta_accuracies"]) == 10
    assert check_record(finished.path) == []


def test_a_run_on_other_pictures_lies_under_their_fingerprint_without_its_checkpoint(
    finished, train, test
):
    folder = finished.path.parent
    assert folder.name == finished.id == run_identity(SMOKE, train, test)
    assert folder.name.startswith(f"{SMOKE.id}@")
    assert not (folder / "checkpoint.pt").exists()
    assert finished.path.stat().st_size < 30_000


def test_the_recorded_model_gives_the_recorded_predictions(finished, test):
    model = finished.load_model()
    assert not model.training
    device = choose_device(model)
    batches = fixed_batches(test[:200], batch_size=EVAL_BATCH)
    (probabilities,) = predict(device.place(model), batches, device=device)
    recorded = finished.predictions()
    classes = likeliest(probabilities)
    np.testing.assert_array_equal(classes, recorded["classes"])
    np.testing.assert_allclose(
        np.take_along_axis(probabilities, classes, axis=1),
        recorded["probabilities"],
        atol=1e-3,
    )
    np.testing.assert_array_equal(recorded["labels"], test.labels[:200])


def test_correct_tells_for_each_picture_whether_it_was_recognised(finished):
    assert finished.correct().shape == (200,)
    assert finished.correct().mean() == pytest.approx(finished.test["accuracy"])


def test_the_best_epoch_is_the_one_with_the_best_validation_accuracy(finished):
    best = finished.history.set_index("epoch").valid_accuracy
    assert best[finished.best_epoch] == best.max()


# --- older names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("old_id", "experiment"), OLD_RECORDS.items())
def test_a_record_of_an_old_budget_is_of_todays_budget_and_rate(old_id, experiment):
    found = read_record(PUBLISHED / f"{old_id}.json")
    assert found.experiment == experiment
    assert found.experiment.learning_rate == experiment.learning_rate
    assert found.history.lr[0] == experiment.learning_rate
    assert found.id == experiment.id == todays_id(old_id)
    assert check_record(found.path) == []


@pytest.mark.parametrize(("old_id", "experiment"), OLD_RECORDS.items())
@pytest.mark.parametrize("seed", ["", "-seed_1"])
@pytest.mark.parametrize("fingerprint", ["", "@1a2b3c4d"])
def test_an_old_id_translates_with_its_seed_and_its_fingerprint(
    old_id, experiment, seed, fingerprint
):
    budget, _, rate = experiment.id.partition("-lr_")
    expected = budget + seed
    if rate:
        expected += f"-lr_{rate}"
    assert todays_id(old_id + seed + fingerprint) == expected + fingerprint


@pytest.mark.parametrize("fingerprint", ["", "@1a2b3c4d"])
def test_todays_ids_translate_to_themselves(fingerprint):
    for path in PUBLISHED.glob("*.json"):
        today = read_record(path).experiment.id + fingerprint
        assert todays_id(today) == today


def test_the_old_budgets_of_both_inits_are_known():
    old = {"backbone": "ResNet18", "image_size": 32, "init": "scratch"}
    found = recorded_experiment({**old, "budget": "three_1e-4", "seed": 3})
    assert found == Experiment(**old, budget="three", seed=3, lr=1e-4)
    assert todays_id("ResNet18-32px-scratch-three_1e-4-seed_3") == found.id
    # a run from scratch at 0.001 is the budget's own
    found = recorded_experiment({**old, "budget": "writeup_1e-3", "seed": 3})
    assert found == Experiment(**old, budget="writeup", seed=3)
    assert todays_id("ResNet18-32px-scratch-writeup_1e-3-seed_3") == found.id


def test_a_recipe_with_a_rate_of_its_own_never_took_an_old_budgets():
    old = {"backbone": "ResNet18", "image_size": 32, "init": "imagenet", "recipe": "onecycle"}
    found = recorded_experiment({**old, "budget": "writeup_1e-3"})
    assert found == Experiment(**old, budget="writeup")
    assert found.learning_rate == 0.1
    assert todays_id("ResNet18-32px-imagenet-writeup_1e-3-recipe_onecycle") == found.id


# --- what ships -----------------------------------------------------------------------------------


def test_what_ships_is_true(own_folder_is_empty):
    runs = load_runs()
    assert len(runs) == len(list(PUBLISHED.glob("*.json"))) > 0
    for run in runs:
        assert check_record(run.path) == [], run.id
        assert run.provenance["data"]["name"] == "CIFAR-100"
        assert run.id == run.experiment.id
        assert run.path.stat().st_size < 30_000
        assert run.predictions_path.stat().st_size < 150_000


@pytest.fixture
def own_folder_is_empty(tmp_path, monkeypatch) -> None:
    """No runs of one's own."""
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path))


def test_the_digest_forgets_the_order_of_the_keys_and_nothing_else():
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})
    assert digest_of({"a": 1, "b": [1, 2]}) != digest_of({"a": 1, "b": [2, 1]})
