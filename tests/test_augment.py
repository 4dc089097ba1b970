"""Each step does what its name says, and randomness depends on (seed, epoch, position) alone."""

import warnings

import albumentations as A
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cifarlib import eval_transform, make_loader, policy_steps, train_transform
from cifarlib.augment import AugmentedImages, EpochBatches
from cifarlib.machine import Machine


def apply(step: A.BasicTransform, image: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the picture after one step that is sure to be applied."""
    return A.Compose([step], seed=seed)(image=image)["image"]


def certain(policy: str, image_size: int = 32) -> dict[str, A.BasicTransform]:
    """Return a policy's steps with probability one."""
    steps = policy_steps(image_size, policy)
    for step in steps.values():
        step.p = 1.0
    return steps


def test_flips_and_transpose_are_exact(photo):
    steps = certain("writeup")
    np.testing.assert_array_equal(apply(steps["Transpose"], photo), photo.transpose(1, 0, 2))
    np.testing.assert_array_equal(apply(steps["HorizontalFlip"], photo), photo[:, ::-1])
    np.testing.assert_array_equal(apply(steps["VerticalFlip"], photo), photo[::-1])


def test_moving_mirrors_the_border_and_keeps_the_ratio(photo):
    step = certain("writeup")["ShiftScaleRotate"]
    for seed in range(20):
        moved = apply(step, photo, seed)
        assert moved.min() >= photo.min() - 1  # no black corner
        assert not np.array_equal(moved, photo)
    assert step.scale == {"x": (0.9, 1.1), "y": (0.9, 1.1)}
    assert step.keep_ratio
    assert tuple(step.rotate) == (-45, 45)
    assert step.translate_percent == {"x": (-0.0625, 0.0625), "y": (-0.0625, 0.0625)}


def test_twenty_holes_of_two_by_two_hide_what_the_notebook_says(photo):
    hidden = [np.all(apply(certain("writeup")["CoarseDropout"], photo, seed) == 0, axis=-1).sum() for seed in range(50)]
    assert max(hidden) <= 80  # 20 × 2 × 2 pixels, fewer where holes overlap
    assert min(hidden) >= 40
    assert all(abs(apply(certain("natural")["CoarseDropout"], photo, s) == 0).all(-1).sum() == 64 for s in range(5))


def test_the_published_colour_limits_change_next_to_nothing(photo):
    step = certain("writeup")["HueSaturationValue"]
    change = np.mean([np.abs(apply(step, photo, s).astype(int) - photo).mean() for s in range(50)])
    usual = np.mean([np.abs(apply(A.HueSaturationValue(p=1), photo, s).astype(int) - photo).mean() for s in range(50)])
    assert change < 2 < 5 < usual


def test_each_random_step_comes_half_the_time():
    for policy in ("writeup", "natural"):
        for name, step in policy_steps(32, policy).items():
            assert step.p == (1.0 if name in ("Pad", "RandomCrop") else 0.5)
    order = "Transpose HorizontalFlip VerticalFlip ShiftScaleRotate CoarseDropout HueSaturationValue"
    assert " ".join(policy_steps(32)) == order


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
    on_device = Machine(torch.device("cpu")).prepare(plain[None])[0]
    torch.testing.assert_close(on_device, eval_transform(32)(image=photo)["image"], atol=1e-5, rtol=1e-5)


def test_bad_sizes_and_policies_are_named():
    for size in (0, -1, 3.5, "32"):
        with pytest.raises(ValueError, match="whole number of pixels"):
            train_transform(size)
    with pytest.raises(ValueError, match="did you mean 'natural'"):
        train_transform(32, "naturel")


def batches(images, workers: int, epoch: int, seed: int = 42) -> list[torch.Tensor]:
    """Return one epoch's batches, pictures and labels in one list."""
    transform = train_transform(32, normalize=False)
    loader = make_loader(images, transform, batch_size=64, shuffle=True, seed=seed, num_workers=workers)
    loader.batch_sampler.epoch = epoch
    return [part for batch in loader for part in batch]


def test_any_number_of_workers_gives_the_same_batches(train):
    first = batches(train[:150], 0, epoch=3)
    for workers in (1, 2):
        for a, b in zip(first, batches(train[:150], workers, epoch=3), strict=True):
            assert torch.equal(a, b)
    for other in (batches(train[:150], 0, epoch=4), batches(train[:150], 0, epoch=3, seed=7)):
        assert not torch.equal(first[0], other[0])


@settings(max_examples=25, deadline=None)
@given(epoch=st.integers(0, 99), position=st.integers(0, 99), others=st.lists(st.integers(0, 99), max_size=5))
def test_a_picture_does_not_depend_on_those_before_it(train, epoch, position, others):
    images = AugmentedImages(train, train_transform(32, normalize=False))
    first = images[epoch, position][0]
    for other in others:
        images[epoch, other]
    assert torch.equal(images[epoch, position][0], first)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 300), batch_size=st.integers(1, 64), shuffle=st.booleans())
def test_batches_hold_every_picture_once_but_a_last_one_alone(n, batch_size, shuffle):
    sampler = EpochBatches(n, batch_size, shuffle=shuffle, seed=1)
    found = list(sampler)
    assert len(found) == len(sampler)
    positions = [position for batch in found for _, position in batch]
    alone = shuffle and n % batch_size == 1 and n > 1 and batch_size > 1
    assert len(positions) == len(set(positions)) == n - alone
