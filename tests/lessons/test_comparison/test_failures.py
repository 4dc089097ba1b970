"""Figures of mistakes show what they are given."""

import numpy as np

from cifarlib.data.facts import CLASSES, SUPERCLASSES
from cifarlib.lessons.test_comparison.failures import (
    calibration_figure,
    families_figure,
    family_shares,
    top5_chart,
)


def test_a_familys_shares_are_of_each_true_class_and_end_in_what_went_elsewhere():
    baby, boy, apple = (CLASSES.index(name) for name in ("baby", "boy", "apple"))
    labels = np.array([baby, baby, baby, baby, boy, apple])
    predicted = np.array([baby, boy, boy, apple, boy, baby])
    shares = family_shares(labels, predicted, ["baby", "boy", "girl"])
    assert shares.tolist() == [[25, 50, 0, 25], [0, 100, 0, 0], [0, 0, 0, 0]]


def test_each_family_has_a_panel_and_all_its_numbers_are_written():
    labels = np.arange(100)
    figure = families_figure(labels, labels, ["people", "trees", "flowers"], title="all right")
    people, trees, flowers, left_over = figure.axes
    assert [axis.get_title() for axis in (people, trees, flowers)] == ["people", "trees", "flowers"]
    assert not left_over.get_visible()
    written = [text.get_text() for text in people.texts]
    assert len(written) == 5 * 6
    assert written.count("100") == 5
    names = [label.get_text().replace(" ", "_") for label in trees.get_yticklabels()]
    assert names == SUPERCLASSES["trees"]


def test_calibration_draws_mean_confidence_against_the_share_that_is_right():
    confidence = np.repeat([0.25, 0.85, 0.95], [40, 60, 10])
    correct = np.zeros(110, bool)
    correct[:10] = True
    correct[40:70] = True
    figure = calibration_figure({"a run": (correct, confidence)}, backbone="ResNet18")
    _, line = figure.axes[0].lines
    # the ten pictures of the last part are too few
    np.testing.assert_allclose(line.get_xydata(), [[0.25, 0.25], [0.85, 0.5]])


def test_the_chart_shows_the_picture_and_five_bars_a_run():
    picture = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
    probabilities = np.array([0.5, 0.2, 0.1, 0.1, 0.05])
    guesses = {"one": (["oak_tree", *"abcd"], probabilities), "two": ([*"abcde"], probabilities)}
    figure = top5_chart(picture, guesses, title="what is it?")
    shown, one, _ = figure.axes
    np.testing.assert_array_equal(shown.images[0].get_array(), picture)
    assert [bar.get_width() for bar in one.patches] == probabilities.tolist()
    assert one.get_yticklabels()[0].get_text() == "oak tree"
    assert one.get_title() == "one"
