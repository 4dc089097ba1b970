"""Seeded pipelines draw the same way again, and their steps independently of each other."""

import albumentations as A
import numpy as np
import pytest

from cifarlib import policy_steps, seeded, train_transform

FLIPS = ("Transpose", "HorizontalFlip", "VerticalFlip")


def flips() -> list:
    """Return the three steps that turn a picture without changing a pixel."""
    return [policy_steps(32)[name] for name in FLIPS]


def test_the_same_seed_draws_the_same_pictures_and_another_others(photo):
    runs = []
    for seed in (0, 0, 1):
        pipeline = seeded(train_transform(32), seed)
        runs.append(np.stack([pipeline(image=photo)["image"].numpy() for _ in range(5)]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_the_steps_do_not_happen_all_together(photo):
    pipeline = seeded(flips())
    seen = {pipeline(image=photo)["image"].tobytes() for _ in range(200)}
    assert len(seen) == 8


@pytest.mark.parametrize("name", FLIPS)
def test_always_applies_a_step_whatever_its_probability(name, photo):
    pipeline = seeded([policy_steps(32)[name]], always=True)
    expected = getattr(A, name)(p=1.0)(image=photo)["image"]
    for _ in range(10):
        np.testing.assert_array_equal(pipeline(image=photo)["image"], expected)


def test_what_was_handed_in_stays_as_it_is(photo):
    pipeline = train_transform(32)
    chances = [step.p for step in pipeline.transforms]
    steps = flips()
    seeded(pipeline, always=True)
    seeded(steps, always=True)
    assert [step.p for step in pipeline.transforms] == chances
    assert [step.p for step in steps] == [0.5] * 3
    assert seeded(pipeline, 3) is not pipeline
