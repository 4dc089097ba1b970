"""The figures of 01 show what they are given, and its game counts answers."""

import importlib.util

import numpy as np
import pytest

from cifarlib.lessons.data_augmentation import augmentation_explorer
from cifarlib.lessons.data_exploration import _Quiz, class_wall, quiz, quiz_figure, spectra_figure


@pytest.fixture
def without_ipywidgets(monkeypatch):
    """As if ipywidgets were not installed."""
    find_spec = importlib.util.find_spec

    def found(name, *arguments):
        return None if name == "ipywidgets" else find_spec(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", found)


def test_without_ipywidgets_both_say_so(train, without_ipywidgets):
    for shown in (quiz(train), augmentation_explorer(train.images[:2])):
        assert "ipywidgets is not installed" in shown.data


# --- the quiz -------------------------------------------------------------------------------------


@pytest.fixture
def game(train):
    """A game on 1,000 pictures."""
    return _Quiz(train)


def truth(game) -> str:
    """Return the right answer to what the game asks now."""
    return game.images.classes[game.images.labels[game.place]].replace("_", " ")


def test_the_choices_are_the_classes_of_the_superclass(game):
    for _ in range(20):
        names = [button.description for button in game.buttons]
        assert truth(game) in names
        assert len(set(names)) == 5
        game.ask()


def test_right_and_wrong_answers_are_counted(game):
    for wanted in (True, False, True):
        right = truth(game)
        button = next(b for b in game.buttons if (b.description == right) is wanted)
        button.click()
        assert right in game.said.value
    assert "2 of 3 right" in game.said.value


def test_the_game_is_a_widget_with_a_picture_and_five_buttons(train):
    said, screen, buttons = quiz(train).children
    assert said.value == "Which one is it?"
    assert screen.value.startswith("<img")
    assert len(buttons.children) == 5


# --- figures --------------------------------------------------------------------------------------


def test_the_wall_shows_the_first_picture_of_each_class_by_superclass(train):
    figure = class_wall(train)
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
    figure = quiz_figure(train[:5], [["a_cat", "dog"]] * 5)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == ["1", "2", "3", "4", "5"]
    assert {axis.get_xlabel() for axis in shown} == {"a cat\ndog"}
    for axis, picture in zip(shown, train.images, strict=False):
        np.testing.assert_array_equal(axis.images[0].get_array(), picture)


def test_spectra_are_drawn_below_their_pictures_in_powers_of_ten():
    pictures = {size: np.zeros((size, size, 3), np.uint8) for size in (32, 64)}
    spectra = {size: np.full((size, size), 100.0) for size in (32, 64)}
    figure = spectra_figure(pictures, spectra)
    assert [axis.images[0].get_array().shape[0] for axis in figure.axes[:4]] == [32, 64, 32, 64]
    np.testing.assert_allclose(figure.axes[2].images[0].get_array(), 2)
