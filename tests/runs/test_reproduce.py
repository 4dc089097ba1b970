"""A record is run again: equal, within the noise between seeds, or off."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from helpers import SMOKE, write_signed

from cifarlib import Experiment, run
from cifarlib.config import BUDGETS, Budget
from cifarlib.runs.record import read_record
from cifarlib.runs.reproduce import EARLY, EARLY_NOISE, SEED_NOISE, TWO_RUNS, compare, reproduce
from cifarlib.runs.store import find_published_run

SEEDS = ("", "-seed_1", "-seed_2")


@pytest.fixture
def smoke(mine, tmp_path, monkeypatch):
    """A smoke record of one's own, on one's own pictures."""
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    monkeypatch.setenv("CIFARLIB_RUNS", str(tmp_path))
    return run(SMOKE, progress=False)


def test_a_smoke_record_is_reproduced_exactly(smoke):
    table, differences = reproduce(smoke.id)
    assert set(table.verdict) == {"equal"}
    assert list(table.index) == ["lr", *SEED_NOISE]
    assert differences == {}
    # the record that was there is as it was, and the new one is kept apart
    assert read_record(smoke.path).provenance == smoke.provenance
    again = read_record(smoke.path.parent.parent / "reproduced" / smoke.id / "record.json")
    same_weights = smoke.provenance["final_weights_sha256"]
    assert again.provenance["final_weights_sha256"] == same_weights


def test_the_first_epochs_alone_are_reproduced_exactly_and_leave_no_checkpoint(smoke):
    table, _ = reproduce(smoke.id, epochs=1)
    assert list(table.index) == [
        "lr",
        "train_loss",
        "train_accuracy",
        "valid_loss",
        "valid_accuracy",
    ]
    assert set(table.verdict) == {"equal"}
    folder = smoke.path.parent.parent / "reproduced"
    assert not list(folder.glob("**/checkpoint.pt"))


def test_a_record_that_says_another_rate_than_it_was_made_with_is_off(smoke):
    record = json.loads(smoke.path.read_text(encoding="utf-8"))
    record["experiment"]["lr"] = 0.02
    record["provenance"]["settings"]["lr"] = 0.02
    folder = smoke.path.parent
    renamed = smoke.id.replace("smoke", "smoke-lr_0.02")
    folder.rename(folder.with_name(renamed))
    write_signed(folder.with_name(renamed) / "record.json", record)
    table, _ = reproduce(renamed, epochs=1)
    assert table.verdict["lr"] == "off"


def test_a_record_made_under_other_settings_is_not_run_again_unsaid(smoke, monkeypatch):
    shorter = Budget(400, 200, 200, epochs={"scratch": 1}, lr=BUDGETS["smoke"].lr)
    monkeypatch.setitem(BUDGETS, "smoke", shorter)
    with pytest.raises(ValueError, match=r"made with another epochs \(code at commit [0-9a-f]{40}"):
        reproduce(smoke.id)


def test_a_record_on_other_pictures_is_not_compared(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    with pytest.raises(ValueError, match="cannot be run again here: on these pictures it is"):
        reproduce("ResNet18-32px-scratch-smoke", runs_dir=tmp_path)


@pytest.mark.parametrize("epochs", [0, 3])
def test_epochs_that_a_run_has_not_are_refused(epochs, smoke):
    with pytest.raises(ValueError, match="expected 1 to 2, which"):
        reproduce(smoke.id, epochs=epochs)


def test_a_run_that_is_not_recorded_gets_the_nearest(smoke):
    with pytest.raises(ValueError, match="did you mean 'ResNet18-32px-scratch-smoke'"):
        reproduce("ResNet18-32-scratch-smoke")


def len_of(run, part: str) -> int:
    """Return how many pictures a part of a run had."""
    return run.provenance["data"]["counts"][part]


def test_the_verdict_tells_rounding_from_seeds_and_seeds_from_faults(smoke):
    history = smoke.history.copy()
    last = history.index[-1]
    noise = EARLY_NOISE["valid_loss"] * math.sqrt(10_000 / len_of(smoke, "valid"))
    for change, verdict in (
        (4e-5, "equal"),
        (0.9 * TWO_RUNS * noise, "seed noise"),
        (1.1 * TWO_RUNS * noise, "off"),
        (np.nan, "off"),
    ):
        history.loc[last, "valid_loss"] = smoke.history.valid_loss[last] + change
        assert compare(smoke, history).verdict["valid_loss"] == verdict


def test_the_noise_between_seeds_is_that_of_the_three_published_ones():
    runs = [find_published_run(f"ResNet18-32px-scratch-writeup{seed}") for seed in SEEDS]
    for name, stated in EARLY_NOISE.items():
        variance = pd.DataFrame({run.id: run.history[name] for run in runs}).var(axis=1)
        assert round(np.sqrt(variance[:EARLY].mean()), 3) == stated, name
        assert round(np.sqrt(variance[EARLY:].mean()), 3) == SEED_NOISE[name], name
    best = [run.history.valid_accuracy.max() for run in runs]
    assert round(np.std(best, ddof=1), 3) == SEED_NOISE["best_valid_accuracy"]
    for name in ("accuracy", "top5", "tta_accuracy"):
        tested = [run.test[name] for run in runs]
        assert round(np.std(tested, ddof=1), 3) == SEED_NOISE[name], name


@pytest.mark.parametrize("epochs", [1, 2, 5, 10, 50])
def test_each_of_the_three_seeds_is_within_seed_noise_of_each_other(epochs):
    runs = [find_published_run(f"ResNet18-32px-scratch-writeup{seed}") for seed in SEEDS]
    for one, other in itertools.combinations(runs, 2):
        tested = other.test if epochs == 50 else None
        table = compare(one, other.history[:epochs], tested)
        assert set(table.verdict) <= {"equal", "seed noise"}


def test_fewer_pictures_scatter_more():
    quick = find_published_run("ResNet18-32px-scratch-quick")
    noise = compare(quick, quick.history, quick.test).seed_noise
    assert noise["valid_accuracy"] == pytest.approx(SEED_NOISE["valid_accuracy"] * math.sqrt(5))
    assert noise["train_accuracy"] == pytest.approx(SEED_NOISE["train_accuracy"] * 2)
    assert noise["accuracy"] == SEED_NOISE["accuracy"]


def test_another_net_is_off():
    one = find_published_run(Experiment("ResNet18", 32, "scratch", "writeup").id)
    other = find_published_run(Experiment("ResNet50", 32, "scratch", "writeup").id)
    assert compare(one, other.history, other.test).verdict["accuracy"] == "off"
