"""Twins between two sets of pictures are found, exact ones and near ones."""

from dataclasses import replace

import numpy as np
import pytest

from cifarlib import split_folds
from cifarlib.lessons.twins import exact_twins, is_learned_from, near_twins, twins_figure


def with_images(images, changed):
    """Return a set with other pictures under the same labels."""
    return replace(images, images=np.ascontiguousarray(changed))


def test_a_picture_that_is_in_both_sets_is_found_with_its_place_in_each(train, test):
    pictures = test.images.copy()
    pictures[7] = train.images[30]
    pictures[2] = train.images[500]
    pairs = exact_twins(with_images(test, pictures), train)
    assert pairs.tolist() == [[2, 500], [7, 30]]


def test_where_no_picture_is_in_both_sets_there_is_no_pair(train, test):
    assert exact_twins(test, train).shape == (0, 2)


def test_brightness_contrast_and_the_mirror_make_no_difference_to_a_near_twin(train, test):
    pictures = test.images.copy()
    original = train.images[[30, 500, 700]].astype(float)
    pictures[0] = np.clip(0.5 * original[0] + 40, 0, 255)
    pictures[1] = original[1][:, ::-1]
    pictures[2] = original[2]
    changed = with_images(test, pictures)
    twins = near_twins(changed, train)
    assert len(twins) == len(test)
    assert twins.twin[:3].tolist() == [30, 500, 700]
    assert twins.correlation[0] > 0.99
    assert twins.correlation[1] == twins.correlation[2] == 1
    assert twins.is_mirrored[1]
    assert (
        twins.same_label[:3].tolist()
        == (changed.labels[:3] == train.labels[[30, 500, 700]]).tolist()
    )


def test_the_correlation_is_that_of_the_thumbnails(train, test):
    twins = near_twins(test[:5], train)
    for place, row in enumerate(twins.itertuples()):
        image = test.images[place]
        if row.is_mirrored:
            image = image[:, ::-1]
        looks = []
        for picture in (image, train.images[row.twin]):
            looks.append(picture.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3)).ravel())
        assert np.corrcoef(looks)[0, 1] == pytest.approx(row.correlation, abs=2e-5)


def test_a_picture_of_one_colour_is_like_none(train, test):
    pictures = test.images.copy()
    pictures[0] = 128
    assert near_twins(with_images(test, pictures), train).correlation[0] == 0


def test_pictures_that_make_no_thumbnail_are_refused(train, test):
    small = with_images(test, test.images[:, :30])
    with pytest.raises(ValueError, match="32×30, expected multiples of 8"):
        near_twins(small, train)


def test_what_a_run_learns_from_is_what_the_folds_say(train):
    kept, _ = split_folds(train)
    learned = is_learned_from(train)
    assert learned.sum() == len(kept)
    assert np.array_equal(train.images[learned], kept.images)
    first = is_learned_from(train, 100)
    assert np.array_equal(train.images[first], kept.images[:100])


def test_the_pairs_nearest_to_each_level_are_shown(train, test):
    twins = near_twins(test, train)
    figure = twins_figure(test, train, twins, (0.9, 0.8), columns=3)
    assert len(figure.axes) == 6
    height, width, _ = figure.axes[0].images[0].get_array().shape
    assert (height, width) == (32, 67)
