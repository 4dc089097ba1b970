"""A record is run again: equal, within the noise of seeds and sampling, or off."""

import io
import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import SMOKE, write_signed

from cifarlib import Experiment, Run, run
from cifarlib.config import BUDGETS, CIFAR100_PARTS, Budget
from cifarlib.experiments.record import read_record
from cifarlib.experiments.store import find_published_run
from cifarlib.tools.reproduce import (
    EARLY,
    EARLY_NOISE,
    LOSS_SPREAD,
    SEED_NOISE,
    TWO_RUNS,
    compare,
    reproduce,
)

SEEDS = ("", "-seed_1", "-seed_2")
EPOCH = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
TESTED = ("accuracy", "top5", "tta_accuracy")
WITHIN = {"equal", "within noise"}

# ResNet18 at 32 px from scratch at smoke scale on CIFAR-100, other seeds and machines: seed,
# precision and threads; EPOCH's measures after the first epoch, after the second; TESTED's
SMOKE_RUNS = """
42,bfloat16,2,4.9197,0.0175,4.5978,0.03,4.3041,0.075,4.644,0.025,0.005,0.03,0.01
1,bfloat16,2,5.0407,0.01,4.6415,0.01,4.4712,0.0475,4.6095,0.04,0.025,0.07,0.02
2,bfloat16,2,4.9469,0.0225,4.645,0.01,4.3819,0.06,4.6857,0.035,0.025,0.085,0.02
3,bfloat16,2,4.9624,0.0125,4.6456,0.015,4.4203,0.0525,4.6824,0.03,0.035,0.09,0.025
4,bfloat16,2,4.9236,0.02,4.6398,0.01,4.4022,0.065,4.6174,0.03,0.01,0.09,0.01
5,bfloat16,2,4.8641,0.0225,4.6232,0.025,4.3498,0.0675,4.6035,0.03,0.03,0.1,0.035
6,bfloat16,2,4.9311,0.015,4.6548,0.005,4.3163,0.0725,4.6705,0.04,0.025,0.07,0.02
7,bfloat16,2,4.9665,0.0225,4.7044,0.015,4.275,0.0775,4.6935,0.02,0.005,0.065,0.005
8,bfloat16,2,4.839,0.02,4.6449,0.04,4.3438,0.05,4.6968,0.015,0.005,0.055,0.01
9,bfloat16,2,4.9495,0.015,4.6187,0.02,4.4102,0.0575,4.6748,0.025,0.01,0.06,0.005
10,bfloat16,2,4.8804,0.0075,4.6154,0.045,4.329,0.07,4.6699,0.03,0.01,0.05,0.01
11,bfloat16,2,4.9146,0.0225,4.712,0.015,4.3663,0.0575,4.7409,0.02,0.025,0.085,0.02
12,bfloat16,2,4.9499,0.01,4.7246,0.02,4.3547,0.075,4.6235,0.035,0.015,0.08,0.015
42,float32,2,4.8913,0.02,4.5984,0.02,4.3091,0.0525,4.6035,0.02,0.015,0.075,0.015
1,float32,2,4.9736,0.0175,4.6164,0.035,4.4407,0.05,4.5835,0.065,0.01,0.065,0.025
2,float32,2,4.9388,0.025,4.6219,0.02,4.3376,0.0875,4.632,0.04,0.02,0.09,0.015
42,float32,1,4.8914,0.0225,4.592,0.02,4.2842,0.075,4.6062,0.045,0.005,0.09,0.02
3,float32,1,4.9511,0.015,4.6286,0.005,4.3798,0.0475,4.6564,0.04,0.01,0.105,0.01
"""
# the last epoch and test of the same at quick scale: seed; EPOCH's measures; TESTED's
QUICK_RUNS = """
1,2.8741,0.2693,3.2449,0.22,0.2132,0.4885,0.2231
2,2.865,0.271,3.2507,0.224,0.2143,0.491,0.2205
"""
# by so much a measure is falsified: at smoke scale; on all of CIFAR-100's images
LIES = {
    "train_loss": (-0.4, -0.06),
    "train_accuracy": (0.1, 0.015),
    "valid_loss": (-0.6, -0.12),
    "valid_accuracy": (0.1, 0.025),
    "best_valid_accuracy": (0.1, 0.02),
    "accuracy": (0.1, 0.02),
    "top5": (0.12, 0.015),
    "tta_accuracy": (0.1, 0.025),
}


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
    with pytest.raises(ValueError, match="cannot be run again here: on these images it is"):
        reproduce("ResNet18-32px-scratch-smoke", runs_dir=tmp_path)


@pytest.mark.parametrize("epochs", [0, 3])
def test_epochs_that_a_run_has_not_are_refused(epochs, smoke):
    with pytest.raises(ValueError, match="expected 1 to 2, which"):
        reproduce(smoke.id, epochs=epochs)


def test_a_run_that_is_not_recorded_gets_the_nearest(smoke):
    with pytest.raises(ValueError, match="did you mean 'ResNet18-32px-scratch-smoke'"):
        reproduce("ResNet18-32-scratch-smoke")


def published(budget: str) -> Run:
    """Return the published run of ResNet18 at 32 px from scratch."""
    found = find_published_run(f"ResNet18-32px-scratch-{budget}")
    assert found
    return found


def smoke_runs() -> list[Run]:
    """Return the runs of SMOKE_RUNS, what they do not say taken from the published one."""
    record = published("smoke")
    runs = []
    for row in pd.read_csv(io.StringIO(SMOKE_RUNS), header=None).to_numpy():
        history = record.history.copy()
        history.loc[0, list(EPOCH)] = row[3:7].astype(float)
        history.loc[1, list(EPOCH)] = row[7:11].astype(float)
        tested = dict(zip(TESTED, row[11:], strict=True))
        runs.append(replace(record, history=history, test=tested))
    return runs


def falsified(record: Run, name: str, lie: float) -> Run:
    """Return the record with one measure changed: the last epoch's, the best or the test's."""
    history = record.history.copy()
    tested = dict(record.test)
    if name in TESTED:
        tested[name] += lie
    elif name == "best_valid_accuracy":
        history.loc[0, "valid_accuracy"] = history.valid_accuracy.max() + lie
    else:
        history.loc[history.index[-1], name] += lie
    return replace(record, history=history, test=tested)


def test_the_verdict_tells_rounding_from_noise_and_noise_from_faults(smoke):
    history = smoke.history.copy()
    last = history.index[-1]
    n = smoke.provenance["data"]["counts"]["valid"]
    noise = math.hypot(EARLY_NOISE["valid_loss"], LOSS_SPREAD * math.sqrt(1 / n - 1 / 10_000))
    for change, verdict in (
        (4e-5, "equal"),
        (0.9 * TWO_RUNS * noise, "within noise"),
        (1.1 * TWO_RUNS * noise, "off"),
        (np.nan, "off"),
    ):
        history.loc[last, "valid_loss"] = smoke.history.valid_loss[last] + change
        assert compare(smoke, history).verdict["valid_loss"] == verdict


def test_the_noise_between_seeds_is_that_of_the_three_published_ones():
    runs = [published(f"writeup{seed}") for seed in SEEDS]
    for name, stated in EARLY_NOISE.items():
        variance = pd.DataFrame({run.id: run.history[name] for run in runs}).var(axis=1)
        assert round(np.sqrt(variance[:EARLY].mean()), 3) == stated, name
        assert round(np.sqrt(variance[EARLY:].mean()), 3) == SEED_NOISE[name], name
    best = [run.history.valid_accuracy.max() for run in runs]
    assert round(np.std(best, ddof=1), 3) == SEED_NOISE["best_valid_accuracy"]
    for name in ("accuracy", "tta_accuracy"):
        tested = [run.test[name] for run in runs]
        assert round(np.std(tested, ddof=1), 3) == SEED_NOISE[name], name


def test_the_noise_of_top5_is_what_the_three_disagree_about():
    found = []
    for seed in SEEDS:
        answers = published(f"writeup{seed}").predictions()
        found.append((answers["classes"] == answers["labels"][:, None]).any(axis=1))
    pairs = itertools.combinations(found, 2)
    disagree = np.mean([(one != other).mean() for one, other in pairs])
    # the difference of two runs that disagree about a share of n images has the variance share / n,
    # which is twice that of one run
    assert round(np.sqrt(disagree / 2 / CIFAR100_PARTS["test"]), 3) == SEED_NOISE["top5"]


@pytest.mark.parametrize("epochs", [1, 2, 5, 10, 50])
def test_each_of_the_three_seeds_is_within_the_noise_of_each_other(epochs):
    runs = [published(f"writeup{seed}") for seed in SEEDS]
    for one, other in itertools.combinations(runs, 2):
        tested = other.test if epochs == 50 else None
        table = compare(one, other.history[:epochs], tested)
        assert set(table.verdict) <= WITHIN


def test_a_smoke_run_of_another_seed_or_machine_is_within_the_noise_of_the_record():
    for other in smoke_runs():
        table = compare(published("smoke"), other.history, other.test)
        assert set(table.verdict) <= WITHIN


@pytest.mark.parametrize("epochs", [1, 2])
def test_smoke_runs_of_any_two_seeds_or_machines_are_within_the_noise_of_each_other(epochs):
    for one, other in itertools.combinations(smoke_runs(), 2):
        tested = other.test if epochs == 2 else None
        table = compare(one, other.history[:epochs], tested)
        assert set(table.verdict) <= WITHIN


def test_a_quick_run_of_another_seed_is_within_the_noise_of_the_record():
    record = published("quick")
    for row in pd.read_csv(io.StringIO(QUICK_RUNS), header=None).to_numpy():
        history = record.history.copy()
        history.loc[history.index[-1], list(EPOCH)] = row[1:5]
        table = compare(record, history, dict(zip(TESTED, row[5:], strict=True)))
        assert set(table.verdict) <= WITHIN


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize(("budget", "which"), [("smoke", 0), ("writeup", 1)])
def test_a_record_of_either_scale_with_one_false_measure_is_off(budget, which, name):
    true = published(budget)
    false = falsified(true, name, LIES[name][which])
    assert compare(false, true.history, true.test).verdict[name] == "off"


@pytest.mark.parametrize("epochs", [1, EARLY, EARLY + 1, 50])
def test_on_all_of_cifar_100s_images_the_noise_is_that_of_seeds_alone(epochs):
    one, other = published("writeup"), published("writeup-seed_1")
    seeds = SEED_NOISE
    if epochs <= EARLY:
        seeds = SEED_NOISE | EARLY_NOISE
    table = compare(one, other.history[:epochs], other.test)
    assert table.noise.to_dict() == {"lr": 0.0} | seeds


def test_fewer_images_scatter_more_as_sampling_makes_them():
    quick = published("quick")
    noise = compare(quick, quick.history, quick.test).noise
    valid_accuracy = quick.history.valid_accuracy.iloc[-1]
    sampling = valid_accuracy * (1 - valid_accuracy) * (1 / 2_000 - 1 / 10_000)
    expected = math.sqrt(SEED_NOISE["valid_accuracy"] ** 2 + sampling)
    assert noise["valid_accuracy"] == pytest.approx(expected)
    sampling = LOSS_SPREAD**2 * (1 / 10_000 - 1 / 40_000)
    expected = math.sqrt(SEED_NOISE["train_loss"] ** 2 + sampling)
    assert noise["train_loss"] == pytest.approx(expected)
    # it is tested on all images
    assert noise["accuracy"] == SEED_NOISE["accuracy"]


@pytest.mark.parametrize(("now", "verdict"), [(0.0, "equal"), (0.03, "within noise"), (0.1, "off")])
def test_no_right_answer_among_200_images_is_not_taken_for_certainty(now, verdict):
    smoke = published("smoke")
    record = replace(smoke, test=smoke.test | {"accuracy": 0.0})
    table = compare(record, smoke.history, smoke.test | {"accuracy": now})
    assert table.verdict["accuracy"] == verdict


def test_a_record_that_says_more_than_all_is_off():
    smoke = published("smoke")
    record = replace(smoke, test=smoke.test | {"top5": 8.0})
    assert compare(record, smoke.history, smoke.test).verdict["top5"] == "off"


def test_another_net_is_off():
    other = find_published_run(Experiment("ResNet50", 32, "scratch", "writeup").id)
    assert other
    table = compare(published("writeup"), other.history, other.test)
    assert table.verdict["accuracy"] == "off"
