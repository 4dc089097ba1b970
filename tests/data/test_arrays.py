"""Images and labels of another kind are refused with what makes them fit."""

import dataclasses

import numpy as np
import pytest

from cifarlib import ImageSet, train_transform
from cifarlib.data.arrays import check_image, check_images, check_labels, middle_square

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
ALPHA = np.dstack([IMAGES[0], IMAGES[0, ..., :1]])[None]


@pytest.mark.parametrize(
    ("got", "way"),
    [
        (IMAGES / 255, "(255 * x).round().astype('uint8')"),
        ((IMAGES / 255).astype(np.float32), "(255 * x).round().astype('uint8')"),
        (IMAGES.astype(np.int64), "x.astype('uint8')"),
        (ALPHA, "x[..., :3]"),
        (IMAGES[..., :1], "x.repeat(3, axis=-1)"),
        (IMAGES.transpose(0, 3, 1, 2), "np.moveaxis(x, -3, -1)"),
        (IMAGES[0], "x[None]"),
        (IMAGES[..., 0], "x[..., None].repeat(3, axis=-1)"),
    ],
)
def test_the_way_that_a_refusal_tells_leads_to_images(got, way):
    with pytest.raises(ValueError, match=r"expected uint8 \(N, H, W, 3\), RGB: ") as refused:
        check_images(got)
    assert str(refused.value).endswith(way)
    assert check_images(eval(way, {"x": got, "np": np})).dtype == np.uint8
    if way == "x[None]":
        return
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\), RGB: ") as refused:
        check_image(got[0])
    assert str(refused.value).endswith(way)
    assert check_image(eval(way, {"x": got[0], "np": np})).dtype == np.uint8


@pytest.mark.parametrize("got", [IMAGES, list(IMAGES), IMAGES[:0]])
def test_images_are_taken_as_they_are(got):
    assert np.array_equal(check_images(got), np.asarray(got))


@pytest.mark.parametrize("got", [IMAGES, IMAGES[0] / 255, ALPHA[0], IMAGES[0, ..., 0], "a.png"])
def test_one_image_of_another_kind_is_refused(got):
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\), RGB"):
        check_image(got)


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (np.eye(5, dtype=np.uint8), r"of one row a label make x\.argmax\(1\)"),
        (np.eye(5, dtype=np.float32), r"of one row a label make x\.argmax\(1\)"),
        (np.zeros((5, 1), np.int64), r"of one column make x\[:, 0\]"),
        (np.zeros(5), "got labels float64"),
        (np.zeros(5, bool), "got labels bool"),
        (np.zeros(4, np.int64), r"expected whole numbers \(5,\)"),
        ([0, 1, 2, 3, 5], "got labels from 0 to 5, .* each from 0 to 4"),
        ([0, 1, 2, 3, -1], "got labels from -1 to 3"),
    ],
)
def test_labels_of_another_kind_are_refused(got, words):
    with pytest.raises(ValueError, match=words):
        check_labels(got, 5, 5)
    with pytest.raises(ValueError, match=words):
        ImageSet(IMAGES, got, tuple("abcde"))


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64])
def test_labels_of_any_whole_kind_become_int64(kind):
    assert ImageSet(IMAGES, np.arange(5, dtype=kind), tuple("abcde")).labels.dtype == np.int64


def test_an_image_set_of_floats_is_refused():
    with pytest.raises(ValueError, match="got images float64"):
        ImageSet(IMAGES / 255, np.arange(5), tuple("abcde"))


def test_arrays_put_into_an_image_set_later_are_looked_at_too():
    images = ImageSet(IMAGES, np.arange(5), tuple("abcde"))
    with pytest.raises(ValueError, match="got labels from 0 to 9"):
        dataclasses.replace(images, labels=np.array([0, 1, 2, 3, 9]))
    images.labels[0] = 9
    with pytest.raises(ValueError, match="got labels from 1 to 9"):
        images.check()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 50), (50, 32), (33, 40)])
def test_an_oblong_image_is_cropped_and_not_squashed(height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    expected = image[top : top + side, left : left + side]
    assert np.array_equal(middle_square(image), expected)
    tensor = train_transform(side, "none", normalize=False)(image=image)["image"]
    assert np.array_equal(tensor.permute(1, 2, 0).numpy(), expected)


def test_a_pipeline_refuses_floats_which_it_would_take_for_black():
    with pytest.raises(ValueError, match=r"make \(255 \* x\)\.round\(\)"):
        train_transform(8)(image=IMAGES[0] / np.float32(255))
