"""Each step does what its name says, measured on pixels."""

import warnings

import albumentations as A
import numpy as np
import pytest
import torch
from helpers import CPU

from cifarlib import eval_transform, policy_steps, train_transform

SIDE = 301  # of the dotted picture: large, so that places are measured finely
MIDDLE = SIDE // 2
OFF = 30  # how far the two outer dots lie from the middle one


def apply(step: A.BasicTransform, image: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the picture after one step."""
    return A.Compose([step], seed=seed)(image=image)["image"]


def certain(policy: str, image_size: int = 32) -> dict[str, A.BasicTransform]:
    """Return a policy's steps, each sure to be applied."""
    steps = policy_steps(image_size, policy)
    for step in steps.values():
        step.p = 1.0
    return steps


def dotted() -> np.ndarray:
    """Return a black picture with a dot in each channel: in the middle, right of it, below it."""
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    for channel, (x, y) in enumerate([(0, 0), (OFF, 0), (0, OFF)]):
        rows = slice(MIDDLE + y - 3, MIDDLE + y + 4)
        columns = slice(MIDDLE + x - 3, MIDDLE + x + 4)
        picture[rows, columns, channel] = 255
    return picture


def places_of_dots(picture: np.ndarray) -> np.ndarray:
    """Return where each channel's dot is, (3, 2): x and y from the middle, in pixels."""
    weights = picture.astype(float)
    weights /= weights.sum((0, 1))
    from_middle = np.arange(SIDE) - MIDDLE
    x = (weights * from_middle[None, :, None]).sum((0, 1))
    y = (weights * from_middle[:, None, None]).sum((0, 1))
    return np.stack([x, y], axis=1)


@pytest.fixture(scope="module")
def moved() -> np.ndarray:
    """Where the dots are after ShiftScaleRotate, for 300 draws: (300, 3, 2)."""
    step = certain("writeup", SIDE)["ShiftScaleRotate"]
    return np.stack([places_of_dots(apply(step, dotted(), seed)) for seed in range(300)])


def test_flips_and_transpose_are_exact(photo):
    steps = certain("writeup")
    np.testing.assert_array_equal(apply(steps["Transpose"], photo), photo.transpose(1, 0, 2))
    np.testing.assert_array_equal(apply(steps["HorizontalFlip"], photo), photo[:, ::-1])
    np.testing.assert_array_equal(apply(steps["VerticalFlip"], photo), photo[::-1])


def test_pictures_are_shifted_by_a_sixteenth_of_the_side_at_most(moved):
    shifts = moved[:, 0]  # of the middle dot, which turning and scaling leave where it is
    most = 0.0625 * SIDE
    assert np.abs(shifts).max() <= most + 0.5
    assert (shifts.max(0) > 0.9 * most).all()
    assert (shifts.min(0) < -0.9 * most).all()


def test_pictures_are_scaled_by_a_tenth_at_most_and_alike_both_ways(moved):
    scale_x = np.linalg.norm(moved[:, 1] - moved[:, 0], axis=1) / OFF
    scale_y = np.linalg.norm(moved[:, 2] - moved[:, 0], axis=1) / OFF
    np.testing.assert_allclose(scale_x, scale_y, atol=0.01)
    assert 0.89 < scale_x.min() < 0.91
    assert 1.09 < scale_x.max() < 1.11


def test_pictures_are_turned_by_45_degrees_at_most_and_stay_square(moved):
    right = moved[:, 1] - moved[:, 0]
    below = moved[:, 2] - moved[:, 0]
    angles = np.degrees(np.arctan2(right[:, 1], right[:, 0]))
    assert -45.5 < angles.min() < -40
    assert 40 < angles.max() < 45.5
    np.testing.assert_allclose((right * below).sum(1), 0, atol=0.01 * OFF**2)


def test_what_is_moved_in_from_outside_mirrors_the_picture(photo):
    step = certain("writeup")["ShiftScaleRotate"]
    for seed in range(20):
        moved = apply(step, photo, seed)
        assert moved.min() >= photo.min() - 1  # no black corner
        assert not np.array_equal(moved, photo)


def test_the_natural_crop_shifts_by_an_eighth_of_the_side_at_most():
    steps = certain("natural", 32)
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[16, 16] = 255
    crop = A.Compose([steps["Pad"], steps["RandomCrop"]], seed=0)
    shifts = []
    for _ in range(300):
        cropped = crop(image=picture)["image"]
        assert cropped.shape == picture.shape
        shifts.append(np.argwhere(cropped[..., 0])[0] - 16)
    for axis in np.transpose(shifts):
        assert set(axis) == set(range(-4, 5))


def test_twenty_holes_of_two_by_two_hide_what_the_notebook_says(photo):
    step = certain("writeup")["CoarseDropout"]
    hidden = [(apply(step, photo, seed) == 0).all(-1).sum() for seed in range(50)]
    assert max(hidden) <= 80  # 20 × 2 × 2 pixels, fewer where holes overlap
    assert min(hidden) >= 40


def test_the_natural_hole_is_a_quarter_as_wide_as_the_picture(photo):
    step = certain("natural")["CoarseDropout"]
    for seed in range(5):
        rows, columns = np.nonzero((apply(step, photo, seed) == 0).all(-1))
        assert len(rows) == 8 * 8
        assert np.ptp(rows) == np.ptp(columns) == 7


def mean_change(step: A.BasicTransform, picture: np.ndarray) -> float:
    """Return by how many levels of 255 a step changes a pixel on average."""
    changes = []
    for seed in range(50):
        changes.append(np.abs(apply(step, picture, seed).astype(int) - picture).mean())
    return float(np.mean(changes))


def test_the_published_colour_limits_change_next_to_nothing(photo):
    published = certain("writeup")["HueSaturationValue"]
    usual = A.HueSaturationValue(p=1)
    assert mean_change(published, photo) < 2
    assert mean_change(usual, photo) > 5


def test_the_natural_colours_are_changed_visibly_but_mildly(photo):
    assert 2 < mean_change(certain("natural")["ColorJitter"], photo) < 0.2 * 255


@pytest.mark.parametrize("policy", ["writeup", "natural"])
def test_each_random_step_changes_about_half_of_the_pictures(policy, photo):
    steps = policy_steps(32, policy)
    pad, crop = steps.pop("Pad", None), steps.pop("RandomCrop", None)
    assert (pad is None) == (crop is None) == (policy == "writeup")  # those two come always
    for name, step in steps.items():
        random_step = A.Compose([step], seed=0)
        changed = 0
        for _ in range(500):
            changed += not np.array_equal(random_step(image=photo)["image"], photo)
        assert 200 < changed < 300, name  # 4.5 standard deviations


@pytest.mark.parametrize("policy", ["writeup", "natural", "none"])
def test_the_pipeline_is_the_steps_in_their_order(policy, photo):
    pipeline = train_transform(32, policy, normalize=False)
    steps = A.Compose([A.Resize(32, 32), *policy_steps(32, policy).values()])
    for seed in range(10):
        pipeline.set_random_seed(seed)
        steps.set_random_seed(seed)
        expected = steps(image=photo)["image"].transpose(2, 0, 1)
        np.testing.assert_array_equal(pipeline(image=photo)["image"], expected)


def test_the_steps_come_in_the_published_order():
    assert list(policy_steps(32)) == [
        "Transpose",
        "HorizontalFlip",
        "VerticalFlip",
        "ShiftScaleRotate",
        "CoarseDropout",
        "HueSaturationValue",
    ]


@pytest.mark.parametrize("policy", ["writeup", "natural", "none"])
@pytest.mark.parametrize("image_size", [8, 32, 64, 128])
def test_pipelines_give_tensors_of_the_size_without_a_warning(policy, image_size, photo):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = train_transform(image_size, policy)(image=photo)["image"]
    assert tensor.shape == (3, image_size, image_size)
    assert tensor.dtype == torch.float32


def test_normalising_on_the_device_equals_normalising_in_the_pipeline(photo):
    plain = eval_transform(32, normalize=False)(image=photo)["image"]
    assert plain.dtype == torch.uint8
    np.testing.assert_array_equal(plain.permute(1, 2, 0), photo)
    in_pipeline = eval_transform(32)(image=photo)["image"]
    torch.testing.assert_close(CPU.prepare(plain[None])[0], in_pipeline, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [0, -1, 3.5, "32"])
def test_a_size_that_is_no_number_of_pixels_is_refused(size):
    with pytest.raises(ValueError, match=f"got image_size {size!r}, expected a whole number"):
        train_transform(size)


def test_an_unknown_policy_gets_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'natural'"):
        train_transform(32, "naturel")
