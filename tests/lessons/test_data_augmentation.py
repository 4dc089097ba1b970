"""The figures of 01 and 02 show what they are given."""

import numpy as np
import pandas as pd

from cifarlib import find_run, plots


def test_the_wall_shows_the_first_picture_of_each_class_by_superclass(train):
    figure = plots.class_wall(train)
    assert len(figure.axes) == 100
    families = []
    for axis in figure.axes:
        label = train.classes.index(axis.get_title().replace("\n", "_"))
        first = np.flatnonzero(train.labels == label)[0]
        np.testing.assert_array_equal(axis.images[0].get_array(), train.images[first])
        families.append(train.coarse_labels[first])
    assert families == sorted(families)
    headings = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert headings == [name.replace("_", " ") for name in train.superclasses]


def test_the_quiz_shows_each_picture_with_its_choices(train):
    figure = plots.quiz_figure(train[:5], [["a_cat", "dog"]] * 5)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == ["1", "2", "3", "4", "5"]
    assert {axis.get_xlabel() for axis in shown} == {"a cat\ndog"}
    for axis, picture in zip(shown, train.images, strict=False):
        np.testing.assert_array_equal(axis.images[0].get_array(), picture)


def test_spectra_are_drawn_below_their_pictures_in_powers_of_ten():
    pictures = {size: np.zeros((size, size, 3), np.uint8) for size in (32, 64)}
    spectra = {size: np.full((size, size), 100.0) for size in (32, 64)}
    figure = plots.spectra_figure(pictures, spectra)
    assert [axis.images[0].get_array().shape[0] for axis in figure.axes[:4]] == [32, 64, 32, 64]
    np.testing.assert_allclose(figure.axes[2].images[0].get_array(), 2)


def test_flips_are_drawn_a_point_a_class_and_some_are_named():
    changes = pd.DataFrame(
        {"HorizontalFlip": [1.0, 2.0, 3.0], "VerticalFlip": [4.0, 5.0, 3.0]},
        index=["plain", "pine_tree", "can"],
    )
    axis = plots.flips_figure(changes, ["pine_tree", "can"]).axes[0]
    np.testing.assert_array_equal(axis.collections[0].get_offsets(), changes.to_numpy())
    assert [text.get_text() for text in axis.texts] == ["pine tree", "can"]


def test_policies_are_drawn_by_epoch_training_beside_validation():
    run = find_run("ResNet18-32px-scratch-writeup")
    training, validation = plots.policy_curves({"writeup": run}).axes
    np.testing.assert_array_equal(training.lines[0].get_ydata(), run.history.train_accuracy)
    np.testing.assert_array_equal(validation.lines[0].get_ydata(), run.history.valid_accuracy)
    assert [text.get_text() for text in validation.get_legend().get_texts()] == ["writeup"]
