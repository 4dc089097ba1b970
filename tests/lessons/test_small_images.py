"""Trials are told and drawn beside their baseline, and those that are open say so."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cifarlib import Run, find_run, mcnemar
from cifarlib.lessons.curves import overfitting
from cifarlib.lessons.small_images import (
    fit_table,
    gains_figure,
    trial_curves,
    trial_table,
    trials_figure,
)

BASE = "ResNet18-32px-scratch-{}"
STEM = "ResNet18-32px-scratch-{}-stem_cifar"


def trials_of(budget: str) -> dict[str, Run | None]:
    """Return a baseline, one change and one that was never run."""
    return {
        "baseline": find_run(BASE.format(budget)),
        "stem": find_run(STEM.format(budget)),
        "never": None,
    }


def test_a_trial_is_told_by_its_distance_from_the_first():
    trials = trials_of("writeup")
    table = trial_table(trials)
    assert list(table.index) == ["baseline", "stem", "never"]
    base, stem = trials["baseline"], trials["stem"]
    assert table.loc["stem", "測試 test"] == f"{stem.test['accuracy']:.1%}"
    gap = 100 * (stem.test["accuracy"] - base.test["accuracy"])
    assert table.loc["stem", "差 points"] == f"{gap:+.1f}"
    assert mcnemar(stem.correct(), base.correct()) < 0.001
    assert table.loc["stem", "p"] == "< 0.001"


def test_the_baseline_has_no_distance_and_what_was_not_run_is_open():
    table = trial_table(trials_of("writeup"))
    assert table.loc["baseline", "差 points"] == table.loc["baseline", "p"] == ""
    assert table.loc["never", "測試 test"] == "open"
    assert "".join(table.loc["never"]) == "open"


def test_without_a_baseline_no_distance_is_told():
    table = trial_table(trials_of("writeup") | {"baseline": None})
    assert table.loc["stem", "測試 test"] != "open"
    assert table.loc["stem", "差 points"] == ""


def test_a_p_that_is_not_small_is_told_in_full():
    run = find_run(BASE.format("writeup"))
    other = find_run(BASE.format("writeup") + "-seed_1")
    p = mcnemar(other.correct(), run.correct())
    assert p > 0.001
    assert trial_table({"one": run, "other": other}).loc["other", "p"] == f"{p:.3f}"


def test_the_fit_is_that_of_the_curve():
    trials = trials_of("writeup")
    table = fit_table(trials)
    told = overfitting(trials["baseline"].history)
    assert table.loc["baseline", "最低 lowest loss, epoch"] == f"{told['epoch']}"
    assert table.loc["baseline", "回升 rise, nats"] == f"{told['rise']:.2f}"
    assert table.loc["baseline", "差 points"] == f"{told['gap']:.1f}"
    assert "".join(table.loc["never"]) == "open"


def test_each_trial_is_drawn_as_a_curve_and_a_bar_of_one_colour():
    trials = trials_of("writeup")
    figure = trials_figure(trials, reference=("best published", 0.59), title="32 px")
    curves, bars = figure.axes
    assert len(curves.lines) == len(bars.patches) == 2
    for run, line, bar in zip(trials.values(), curves.lines, bars.patches, strict=False):
        np.testing.assert_array_equal(line.get_ydata(), run.history.valid_accuracy)
        assert bar.get_width() == run.test["accuracy"]
        assert plt.matplotlib.colors.same_color(line.get_color(), bar.get_facecolor())
    (reference,) = bars.lines
    assert list(reference.get_xdata()) == [0.59, 0.59]
    assert figure.get_suptitle() == "32 px"


def test_training_is_drawn_beside_validation():
    trials = trials_of("writeup")
    training, validation = trial_curves(trials).axes
    run = trials["stem"]
    np.testing.assert_array_equal(training.lines[1].get_ydata(), run.history.train_accuracy)
    np.testing.assert_array_equal(validation.lines[1].get_ydata(), run.history.valid_accuracy)
    styles = [line.get_linestyle() for line in training.lines]
    assert styles == ["-", "--"]


def test_gains_at_two_budgets_are_joined_and_open_trials_left_out():
    both = {budget: trials_of(budget) for budget in ("quick", "writeup")}
    (axis,) = gains_figure(both).axes
    joined, zero = axis.lines
    for gain, trials in zip(joined.get_ydata(), both.values(), strict=True):
        expected = trials["stem"].test["accuracy"] - trials["baseline"].test["accuracy"]
        assert gain == pytest.approx(100 * expected)
    assert list(zero.get_ydata()) == [0, 0]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["quick", "writeup"]
