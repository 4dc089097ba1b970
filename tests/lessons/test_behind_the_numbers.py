"""Audits say how sure the recorded numbers are."""

import numpy as np
import pytest

from cifarlib import Experiment, find_run, load_runs, run_label
from cifarlib.experiments.store import find_published_run
from cifarlib.lessons import behind_the_numbers as lesson
from cifarlib.lessons.behind_the_numbers.memory import memory_effect
from cifarlib.published.read import measured_batch_norm


@pytest.fixture(scope="module")
def full():
    """Every published run at the write-up's scale."""
    return load_runs(budget="writeup")


@pytest.fixture(scope="module")
def seeds():
    """One experiment under three seeds."""
    cells = [Experiment("ResNet18", 32, "scratch", "writeup", seed=seed) for seed in (42, 1, 2)]
    return [find_run(cell) for cell in cells]


# --- names ----------------------------------------------------------------------------------------


def test_no_two_runs_have_one_name(full):
    assert len({run_label(run) for run in full}) == len(full)


# --- scores ---------------------------------------------------------------------------------------


def test_a_gap_is_test_minus_the_best_validation_in_points(full):
    gaps = lesson.validation_gaps(full)
    assert len(gaps) == len(full)
    assert gaps.test.is_monotonic_decreasing
    run = find_published_run("ResNet18-32px-scratch-writeup")
    row = gaps.loc["ResNet18 32 px scratch"]
    assert row.gap == pytest.approx(100 * (run.test["accuracy"] - run.history.valid_accuracy.max()))
    # two samples of 10,000 with a share near 0.39
    assert row.band == pytest.approx(100 * 1.96 * np.sqrt(2 * 0.39 * 0.61 / 10_000), abs=0.01)
    lesson.gaps_figure(gaps)


def test_an_interval_holds_its_accuracy_and_is_two_points_wide(full):
    intervals = lesson.score_intervals(full)
    assert (intervals.low < intervals.test).all()
    assert (intervals.test < intervals.high).all()
    assert (100 * (intervals.high - intervals.low)).between(1.6, 2).all()
    lesson.intervals_figure(intervals)


def test_every_two_seeds_are_compared_picture_by_picture(seeds):
    pairs = lesson.seed_pairs(seeds)
    assert list(pairs.index) == ["42 / 1", "42 / 2", "1 / 2"]
    more = pairs.only_first - pairs.only_second
    assert np.allclose(pairs.gap, 100 * more / 10_000)
    assert (pairs.p > 0.05).all()
    figure = lesson.seeds_figure(seeds)
    assert [len(axis.lines) for axis in figure.axes] == [4, 4]  # and the published


def test_the_gains_are_those_of_the_records(full):
    gains = lesson.tta_gains(full)
    run = find_published_run("ResNet18-32px-scratch-writeup")
    row = gains.loc["ResNet18 32 px scratch"]
    assert row.fixed == run.test["tta_accuracy"]
    assert row.low <= row.middle <= row.high
    # whoever never saw a picture upside down is harmed by looking at it so
    natural = gains[gains.index.str.contains("natural")]
    assert (natural.high < natural.test - 0.05).all()
    lesson.tta_figure(gains)


# --- twins ----------------------------------------------------------------------------------------


def test_each_pair_is_one_cell_with_fewer_pictures_and_with_all():
    pairs = lesson.part_and_whole()
    assert len(pairs) >= 11
    for part, whole in pairs:
        counts = [run.provenance["data"]["counts"]["train"] for run in (part, whole)]
        assert counts == [10_000, 40_000]
        assert part.experiment.backbone == whole.experiment.backbone
        assert part.experiment.image_size == whole.experiment.image_size
        assert part.experiment.init == whole.experiment.init


class Answered:
    """A run of which only the answers count."""

    experiment = Experiment("ResNet18", 32, "scratch", "quick")

    def __init__(self, right):
        self.right = np.array(right, bool)

    def correct(self):
        return self.right


def test_what_is_left_over_is_the_difference_of_the_differences():
    seen = np.array([True, True, True, True, False, False, False, False])
    run = Answered([1, 1, 1, 1, 1, 0, 0, 0])
    control = Answered([1, 1, 1, 0, 1, 1, 0, 0])
    effect = memory_effect(run, control, seen, ~seen)
    assert effect["seen"] == 100
    assert effect["unseen"] == 25
    assert effect["control_seen"] == 75
    assert effect["control_unseen"] == 50
    assert effect["left_over"] == 50  # 75 - 25
    # each group's differences are three zeros and a one: a variance of 3/16, over 4 pictures
    assert effect["error"] == pytest.approx(100 * np.sqrt(2 * 3 / 16 / 4))


def test_without_a_twin_nothing_is_left_over():
    none = np.zeros(4, bool)
    run = Answered([1, 0, 1, 0])
    effects = lesson.memory_effects([(run, run)], none, none)
    assert list(effects.index) == ["ResNet18 32 px scratch"]
    assert effects.left_over.isna().all()
    lesson.memory_figure({"one": effects, "other": effects})


# --- how they were made ---------------------------------------------------------------------------


def test_the_batch_norm_table_has_a_cell_for_each_measurement():
    table = lesson.batch_norm_table()
    measured = measured_batch_norm()
    assert table.shape == (measured.run.nunique(), measured.statistics.nunique())
    assert table.loc["ResNet50 32 px scratch", "running averages"] == "11.34 (35.1%)"
    assert (table != "–").sum().sum() == len(measured)


def test_every_run_was_made_somewhere(full):
    made = lesson.machines(full)
    assert made.runs.sum() == len(full)
    assert set(made.precision) == {"bfloat16", "float32"}
    shared = made[made.device == "NVIDIA H200"].iloc[0]
    assert shared.seconds == "no"
