"""A record says how it was made; one that is damaged, edited or of an older name is known."""

import getpass
import hashlib
import platform
import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SMOKE, fit_with, fixed_batches, run_identity

from cifarlib import RECIPES, Callback, Experiment, choose_device, load_runs, predict, run
from cifarlib.data.transforms import policy_steps
from cifarlib.evaluation.metrics import likeliest
from cifarlib.experiments.parts import EVAL_BATCH
from cifarlib.experiments.record import digest_of, read_record, recorded_experiment, todays_id
from cifarlib.experiments.store import PUBLISHED, SUPERSEDED
from cifarlib.models.weights import digest_of_tensors
from cifarlib.tools.check import check_record
from cifarlib.training.callbacks import copy_to_cpu
from cifarlib.utils.files import PACKAGE

TUNED = ("ResNet18", 32, "imagenet")
# of the digests of all records of format 1, in the order of their names
FORMAT_1_DIGEST = "afd82d1e6f72d52488838a1687ba1b49f39c3ad4f72c22237754372951b33e8a"
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


def test_a_record_says_what_its_names_stood_for(finished):
    settings = finished.settings
    assert settings["epochs"] == 2
    assert settings["lr"] == 1e-3
    assert settings["pictures"] == [400, 200, 200]
    assert settings["network"] == "test_resnet"
    assert settings["recipe"] == asdict(RECIPES["writeup"])
    steps = {step["name"]: step for step in settings["policy_steps"]}
    assert list(steps) == list(policy_steps(32))
    assert steps["ShiftScaleRotate"]["rotate"] == [-45, 45]
    assert steps["CoarseDropout"]["num_holes_range"] == [20, 20]


def test_a_record_says_by_what_code_on_which_system_and_when(finished):
    told = finished.told
    assert told("engine") == "eager"
    assert told("command") == "script"
    assert re.fullmatch("[0-9a-f]{40}|unknown", told("code")["commit"])
    assert told("system").startswith(platform.system())
    assert told("determinism")["seed"] == 42
    assert told("determinism")["threads"] == torch.get_num_threads()
    started, ended = (datetime.fromisoformat(told(name)) for name in ("started", "ended"))
    assert started.tzinfo is ended.tzinfo is UTC
    assert started <= ended <= datetime.now(UTC)
    assert told("peak_memory_gb") > 0
    assert told("runs_side_by_side") >= 1
    assert told("seconds_valid") in (True, False)
    assert (told("cuda") is None) == (not torch.cuda.is_available())


def test_a_record_names_the_last_epochs_weights_by_their_hash(train, test, tmp_path, monkeypatch):
    last = {}

    class Remembers(Callback):
        def on_fit_end(self, training):
            last.update(copy_to_cpu(training.model.state_dict()))

    monkeypatch.setattr("cifarlib.experiments.run.fit", fit_with(Remembers()))
    found = run(SMOKE, runs_dir=tmp_path, data=(train, test), progress=False)
    assert found.told("final_weights_sha256") == digest_of_tensors(last)


def test_a_record_names_no_machine_no_user_and_no_folder(finished):
    content = finished.path.read_text(encoding="utf-8")
    for private in (platform.node(), getpass.getuser(), str(Path.home()), str(PACKAGE.parent)):
        if private not in ("/", "root", "localhost"):
            assert private not in content


def test_a_record_of_format_1_reads_with_unknown_where_it_does_not_say():
    found = read_record(PUBLISHED / "ResNet18-32px-scratch-writeup.json")
    assert found.format == 1
    assert found.settings == {}
    for name in ("engine", "system", "code", "command", "started", "final_weights_sha256"):
        assert found.told(name) == "unknown"
    assert found.told("precision") == "bfloat16"
    # it was one of 25 that shared a GPU
    assert found.told("seconds_valid") is False
    alone = read_record(PUBLISHED / "ResNet18-32px-scratch-smoke.json")
    assert alone.told("seconds_valid") == "unknown"


def test_25_published_runs_shared_one_gpu():
    paths = [*PUBLISHED.glob("*.json"), *SUPERSEDED.glob("*.json")]
    runs = [read_record(path) for path in paths]
    shared = [one for one in runs if one.format == 1 and one.told("seconds_valid") is False]
    assert len(shared) == 25


def test_the_records_of_format_1_are_as_they_were_written():
    digests = []
    paths = [*PUBLISHED.glob("*.json"), *SUPERSEDED.glob("*.json")]
    for path in sorted(paths, key=lambda path: path.name):
        if read_record(path).format == 1:
            digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 75
    assert hashlib.sha256(" ".join(digests).encode()).hexdigest() == FORMAT_1_DIGEST


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
    probabilities = predict(model, batches, device=device)
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
    places = [folder / f"{old_id}.json" for folder in (PUBLISHED, SUPERSEDED)]
    (path,) = [place for place in places if place.exists()]
    found = read_record(path)
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
    for found in runs:
        assert check_record(found.path) == [], found.id
        assert found.provenance["data"]["name"] == "CIFAR-100"
        assert found.id == found.experiment.id
        assert found.path.stat().st_size < 30_000
        assert found.predictions_path.stat().st_size < 150_000


@pytest.fixture
def own_folder_is_empty(tmp_path, monkeypatch) -> None:
    """No runs of one's own."""
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path))


def test_the_digest_forgets_the_order_of_the_keys_and_nothing_else():
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})
    assert digest_of({"a": 1, "b": [1, 2]}) != digest_of({"a": 1, "b": [2, 1]})
