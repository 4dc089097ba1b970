"""Figures show what they are given, in one look for each backbone."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cifarlib import BACKBONES, find_run, plots


@pytest.fixture(autouse=True)
def close_figures():
    """No window opens, and no figure stays."""
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_each_backbone_of_the_series_has_a_look_of_its_own():
    looks = [tuple(plots.look(name).values()) for name in BACKBONES]
    assert len(set(looks)) == len(BACKBONES)


def test_other_backbones_get_spare_looks_that_differ():
    others = ["a", "b", "ResNet18", "c"]
    looks = [tuple(plots.look(name, others).values()) for name in others]
    assert len(set(looks)) == 4
    assert plots.look("ResNet18", others) == plots.look("ResNet18")


def test_curves_draw_the_history_of_each_run_and_leave_out_open_ones():
    run = find_run("ResNet18-32px-scratch-writeup")
    figure = plots.curves({"ResNet18": run, "ResNet50": None}, "loss", title="scratch")
    training, validation = figure.axes
    (line,) = training.lines
    np.testing.assert_array_equal(line.get_ydata(), run.history.train_loss)
    (line,) = validation.lines
    np.testing.assert_array_equal(line.get_ydata(), run.history.valid_loss)
    assert figure.get_suptitle() == "scratch · budget: writeup"


def test_curves_of_different_budgets_say_so():
    runs = {
        "ResNet18": find_run("ResNet18-32px-scratch-writeup"),
        "ResNet50": find_run("ResNet50-32px-scratch-quick"),
    }
    figure = plots.curves(runs, "accuracy")
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == ["ResNet18 (writeup)", "ResNet50 (quick)"]


def test_the_confusion_is_shown_as_shares_of_each_true_class():
    figure = plots.confusion(np.array([[3, 1], [0, 0]]), ["a_cat", "dogs"])
    shares = figure.axes[0].collections[0].get_array()
    np.testing.assert_allclose(np.ravel(shares), [75, 25, 0, 0])


def test_a_grid_shows_every_picture_and_hides_what_is_left_over(train):
    figure = plots.picture_grid(train.images[:5], columns=3)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert len(figure.axes) == 6
    for axis, picture in zip(shown, train.images[:5], strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), picture)


@pytest.mark.parametrize(("setting", "saved"), [("1", ["a.png"]), ("0", []), ("", [])])
def test_figures_are_saved_only_where_that_is_asked_for(setting, saved, tmp_path, monkeypatch):
    monkeypatch.setattr("cifarlib.report.plots.repository_root", lambda: tmp_path)
    monkeypatch.setenv("CIFARLIB_SAVE_FIGURES", setting)
    plots.save(plots.learning_rates({"cosine": [1, 2]}), "a")
    assert [path.name for path in tmp_path.glob("images/*")] == saved
