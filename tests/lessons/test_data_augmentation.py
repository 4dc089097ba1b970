"""The figures of 02 show what they are given, and its explorer what a policy does."""

import cv2
import numpy as np
import pandas as pd
import pytest

from cifarlib import find_run, policy_steps
from cifarlib.config import IMAGE_SIZES
from cifarlib.lessons.data_augmentation import (
    EXPLORED,
    augmentation_explorer,
    augmented_strip,
    flips_figure,
    policy_curves,
)


def test_flips_are_drawn_a_point_a_class_and_some_are_named():
    changes = pd.DataFrame(
        {"HorizontalFlip": [1.0, 2.0, 3.0], "VerticalFlip": [4.0, 5.0, 3.0]},
        index=["plain", "pine_tree", "can"],
    )
    axis = flips_figure(changes, ["pine_tree", "can"]).axes[0]
    np.testing.assert_array_equal(axis.collections[0].get_offsets(), changes.to_numpy())
    assert [text.get_text() for text in axis.texts] == ["pine tree", "can"]


def test_policies_are_drawn_by_epoch_training_beside_validation():
    run = find_run("ResNet18-32px-scratch-writeup")
    training, validation = policy_curves({"writeup": run}).axes
    np.testing.assert_array_equal(training.lines[0].get_ydata(), run.history.train_accuracy)
    np.testing.assert_array_equal(validation.lines[0].get_ydata(), run.history.valid_accuracy)
    assert [text.get_text() for text in validation.get_legend().get_texts()] == ["writeup"]


def controls(explorer) -> dict:
    """Return the explorer's controls by what stands beside them."""
    rows = explorer.children[:2]
    return {control.description: control for row in rows for control in row.children}


@pytest.mark.parametrize("size", IMAGE_SIZES)
@pytest.mark.parametrize("policy", EXPLORED)
def test_every_step_gives_a_strip_of_the_size(policy, size, photo):
    for step in ("all", *policy_steps(size, policy)):
        strip = augmented_strip([photo, photo], policy, step, size, 0)
        assert strip.shape == (size, 2 * size, 3)
        assert strip.dtype == np.uint8


def test_a_step_is_applied_every_time(photo):
    for seed in range(5):
        strip = augmented_strip([photo], "writeup", "VerticalFlip", 32, seed)
        np.testing.assert_array_equal(strip, photo[::-1])


def test_a_step_that_the_policy_lacks_changes_nothing(photo):
    strip = augmented_strip([photo], "natural", "Transpose", 64, 0)
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
