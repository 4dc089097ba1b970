"""The runs that lessons show: recorded ones, and those of a reader that are trained."""

import numpy as np
import pytest
from helpers import SMOKE

from cifarlib.lessons.collect import collect_runs


def test_collected_runs_are_trained_where_none_is_recorded(own, mine, monkeypatch):
    monkeypatch.setenv("CIFARLIB_DATA", str(mine))
    runs = collect_runs(["test_resnet"], 32, "scratch")
    assert runs["test_resnet"].experiment == SMOKE
    assert np.isfinite(runs["test_resnet"].history.train_loss).all()


def test_the_budget_of_what_has_no_record_is_the_variables(own, monkeypatch):
    monkeypatch.setenv("CIFARLIB_BUDGET", "quik")
    with pytest.raises(ValueError, match="did you mean 'quick'"):
        collect_runs(["test_resnet"], 32, "scratch")


def test_collected_runs_whose_weights_are_not_at_hand_stay_open(own, monkeypatch):
    monkeypatch.setattr("cifarlib.models.weights.silent", pytest.fail)  # nothing is asked for
    assert collect_runs(["SE-ResNeXt50"], 32, "imagenet") == {"SE-ResNeXt50": None}
    assert not own.exists()
