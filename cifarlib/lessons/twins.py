"""Twins: pictures of one set that are also in another, pixel for pixel or nearly so."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..data.cifar100 import ImageSet, fold_places
from .figures import WIDTH, picture_grid

ROUGH_SIDE = 8  # pixels a side of the thumbnails that near twins are found by
CHUNK = 250  # pictures that are compared with all others at once: 50 MB beside 50,000
DIGITS = 5  # of a correlation: further ones differ from machine to machine
GAP = 3  # white pixels between two pictures of a pair


def exact_twins(test: ImageSet, train: ImageSet) -> np.ndarray:
    """Return the pairs of pictures that are alike in every pixel: int (N, 2), places in each set.

    A picture that is several times in `train` is paired with the last of them.
    """
    places = {image.tobytes(): place for place, image in enumerate(train.images)}
    pairs = []
    for place, image in enumerate(test.images):
        twin = places.get(image.tobytes())
        if twin is not None:
            pairs.append((place, twin))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def near_twins(test: ImageSet, train: ImageSet) -> pd.DataFrame:
    """Return for each picture of `test` the one of `train` that looks most like it.

    Columns: twin (its place), correlation (of two thumbnails of 8×8, 1 where they are alike but for
    brightness and contrast), is_mirrored (whether the mirror image is the nearer), same_label.
    """
    known = _thumbnails(train.images)
    by_view = []
    for images in (test.images, test.images[:, :, ::-1]):
        by_view.append(_nearest(_thumbnails(images), known))
    as_is, mirrored = by_view
    is_mirrored = mirrored.correlation > as_is.correlation
    nearest = as_is.where(~is_mirrored, mirrored)
    same_label = test.labels == train.labels[nearest.twin]
    return nearest.assign(is_mirrored=is_mirrored, same_label=same_label)


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """Return pictures as block means without brightness and contrast: float32 (N, 192)."""
    n, height, width, channels = images.shape
    if height % ROUGH_SIDE or width % ROUGH_SIDE:
        raise ValueError(f"got pictures of {width}×{height}, expected multiples of {ROUGH_SIDE}")
    blocks = images.reshape(
        n,
        ROUGH_SIDE,
        height // ROUGH_SIDE,
        ROUGH_SIDE,
        width // ROUGH_SIDE,
        channels,
    )
    rough = blocks.mean(axis=(2, 4), dtype=np.float32).reshape(n, -1)
    rough -= rough.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rough, axis=1, keepdims=True)
    return rough / np.maximum(length, 1e-6)  # a picture of one colour stays zero


def _nearest(looks: np.ndarray, known: np.ndarray) -> pd.DataFrame:
    """Return for each of `looks` the place of the nearest of `known`, and their correlation."""
    twins = []
    correlations = []
    for start in range(0, len(looks), CHUNK):
        alike = looks[start : start + CHUNK] @ known.T
        twins.append(alike.argmax(axis=1))
        correlations.append(alike.max(axis=1))
    correlation = np.concatenate(correlations).astype(float).round(DIGITS)
    return pd.DataFrame({"twin": np.concatenate(twins), "correlation": correlation})


def is_learned_from(train: ImageSet, n_train: int | None = None) -> np.ndarray:
    """Return for each training picture, bool (N,), whether a run learns from it.

    That is from four folds of five, as runs do, or from the first `n_train` pictures of these.
    """
    kept, _ = fold_places(train)
    return np.isin(np.arange(len(train)), kept[:n_train])


def twins_figure(
    test: ImageSet,
    train: ImageSet,
    twins: pd.DataFrame,
    levels: Sequence[float],
    *,
    columns: int = 5,
) -> Figure:
    """Show the pairs of near_twins that are nearest to each correlation, a row a level.

    The test picture is left, its twin right (turned back where it is mirrored); the titles are
    their classes, one name where they agree.
    """
    shown = []
    titles = []
    for level in levels:
        distance = (twins.correlation - level).abs().to_numpy()
        for place in np.argsort(distance, kind="stable")[:columns]:
            pair = twins.iloc[place]
            image = test.images[place]
            twin = train.images[pair.twin]
            if pair.is_mirrored:
                twin = twin[:, ::-1]
            white = np.full((len(image), GAP, 3), 255, np.uint8)
            shown.append(np.hstack([image, white, twin]))
            names = [test.classes[test.labels[place]], train.classes[train.labels[pair.twin]]]
            titles.append(" / ".join(dict.fromkeys(names)).replace("_", " "))
    rows = [f"{level:.2f}" for level in levels]
    figure = picture_grid(shown, titles, columns=columns, row_labels=rows)
    figure.set_size_inches(WIDTH, 0.95 * len(levels))
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.01, top=0.95)
    return figure
