"""A batch's randomness depends on (seed, epoch, position) alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cifarlib import make_loader, train_transform
from cifarlib.data.loader import AugmentedImages, EpochBatches


def one_epoch(images, *, workers: int, epoch: int, seed: int = 42) -> list[torch.Tensor]:
    """Return one epoch's batches, pictures and labels in one list."""
    transform = train_transform(32, normalize=False)
    loader = make_loader(images, transform, shuffle=True, seed=seed, num_workers=workers)
    loader.batch_sampler.epoch = epoch
    return [part for batch in loader for part in batch]


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same_batches(workers, train):
    alone = one_epoch(train[:150], workers=0, epoch=3)
    shared = one_epoch(train[:150], workers=workers, epoch=3)
    for ours, theirs in zip(alone, shared, strict=True):
        assert torch.equal(ours, theirs)


def test_another_epoch_or_seed_gives_other_batches(train):
    first = one_epoch(train[:150], workers=0, epoch=3)
    assert not torch.equal(first[0], one_epoch(train[:150], workers=0, epoch=4)[0])
    assert not torch.equal(first[0], one_epoch(train[:150], workers=0, epoch=3, seed=7)[0])


@settings(max_examples=25, deadline=None)
@given(
    epoch=st.integers(0, 99),
    position=st.integers(0, 99),
    others=st.lists(st.integers(0, 99), max_size=5),
)
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
