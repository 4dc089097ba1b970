"""The game counts answers, and the explorer shows what a policy does."""

import importlib.util

import cv2
import numpy as np
import pytest

from cifarlib import augmentation_explorer, policy_steps, quiz
from cifarlib.config import IMAGE_SIZES
from cifarlib.lessons import data_exploration as widgets

pytest.importorskip("ipywidgets")


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
    return widgets._Quiz(train)


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


# --- the explorer ---------------------------------------------------------------------------------


def controls(explorer) -> dict:
    """Return the explorer's controls by what stands beside them."""
    rows = explorer.children[:2]
    return {control.description: control for row in rows for control in row.children}


@pytest.mark.parametrize("size", IMAGE_SIZES)
@pytest.mark.parametrize("policy", widgets.EXPLORED)
def test_every_step_gives_a_strip_of_the_size(policy, size, photo):
    for step in ("all", *policy_steps(size, policy)):
        strip = widgets.augmented_strip([photo, photo], policy, step, size, 0)
        assert strip.shape == (size, 2 * size, 3)
        assert strip.dtype == np.uint8


def test_a_step_is_applied_every_time(photo):
    for seed in range(5):
        strip = widgets.augmented_strip([photo], "writeup", "VerticalFlip", 32, seed)
        np.testing.assert_array_equal(strip, photo[::-1])


def test_a_step_that_the_policy_lacks_changes_nothing(photo):
    strip = widgets.augmented_strip([photo], "natural", "Transpose", 64, 0)
    np.testing.assert_array_equal(strip, cv2.resize(photo, (64, 64)))


def test_choosing_another_step_or_seed_draws_anew_and_says_what(photo):
    explorer = augmentation_explorer([photo])
    screen = explorer.children[2]
    chosen = controls(explorer)
    seen = {screen.value}
    chosen["step"].value = "CoarseDropout"
    assert "writeup: CoarseDropout" in screen.value
    seen.add(screen.value)
    chosen["seed"].value = 7
    seen.add(screen.value)
    chosen["policy"].value = "natural"
    chosen["step"].value = "Transpose"
    assert "Transpose is not in natural" in screen.value
    assert len(seen) == 3
