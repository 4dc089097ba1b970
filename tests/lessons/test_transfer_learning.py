"""What fine-tuning brings is told as recorded; and a match is fair."""

import itertools

import pytest
import torch
from helpers import RESNET18, runs_of

from cifarlib import find_run
from cifarlib.experiments.store import find_published_run, find_superseded
from cifarlib.lessons import transfer_learning
from cifarlib.lessons.transfer_learning import (
    distance_table,
    filter_structure,
    finetuning_table,
    pairs_of_starts,
    race,
    riddle_figure,
)


@pytest.fixture
def clock(monkeypatch):
    """A clock that a step moves on by a tenth of a second."""
    now = itertools.count()
    monkeypatch.setattr(transfer_learning.time, "perf_counter", lambda: next(now) / 10)


def test_a_race_takes_steps_until_the_time_is_up_and_looks_at_even_intervals(clock):
    taken = itertools.count(1)
    seen = race(taken, lambda: 0.5, seconds=2.0, spent=1.0, looks=2)
    assert [seconds for seconds, _ in seen] == pytest.approx([1.5, 2.0], abs=0.11)
    assert [share for _, share in seen] == [0.5, 0.5]


def test_measuring_costs_no_time(clock):
    def slow_look() -> float:
        for _ in range(50):
            transfer_learning.time.perf_counter()
        return 1.0

    seen = race(itertools.count(), slow_look, seconds=1.0, looks=2)
    assert seen[-1][0] == pytest.approx(1.0, abs=0.11)


def test_a_race_without_time_left_says_so():
    with pytest.raises(ValueError, match=r"got 3\.0 s spent of 2 s"):
        race(itertools.count(), lambda: 0.0, seconds=2, spent=3.0)


def test_filters_tell_noise_from_structure():
    torch.manual_seed(0)
    noise = torch.randn(32, 3, 3, 3)
    grey = torch.randn(32, 1, 3, 3).expand(32, 3, 3, 3).clone()
    grey[0] = 0
    assert filter_structure(noise)["死掉 dead"] == "0 / 32"
    assert filter_structure(grey)["死掉 dead"] == "1 / 32"
    assert filter_structure(grey)["三色同向 colours agree"] == "31 / 31"


def test_the_riddle_leaves_out_what_is_not_recorded():
    run = find_run("ResNet18-32px-imagenet-writeup")
    figure = riddle_figure({"a": run, "b": None, "c": None, "d": None})
    labels = [line.get_label() for line in figure.axes[1].lines]
    assert labels == ["published", "a"]


def test_starts_are_compared_only_where_no_scale_held_a_run_back():
    scratch = runs_of("scratch", record=RESNET18)
    tuned = runs_of("imagenet", record="ResNet18-32px-imagenet-writeup")
    assert (pairs_of_starts(scratch, tuned).whose == "ours").sum() == 1
    tuned[32]["ResNet18"] = find_superseded("ResNet18-32px-imagenet-writeup")
    assert (pairs_of_starts(scratch, tuned).whose == "ours").sum() == 0


def test_the_table_of_distances_leaves_out_what_is_open():
    table = distance_table({"a": find_published_run(RESNET18), "b": None})
    assert list(table.index) == ["a"]
    assert table.loc["a", "距離：驗證 RMS, valid"] == "1.0"


def test_fine_tuning_over_fits_less():
    table = finetuning_table()
    assert table.loc["SE-ResNeXt50", "64 px: 差距 gap"] == "+13.9"
    assert table.loc["EfficientNet_b0", "32 px: 第 2 輪 at 2"] == "69%"
