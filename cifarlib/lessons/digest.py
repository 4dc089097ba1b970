"""A figure in a few words that a test can compare: what its axes hold, rounded, as a short hash.

Pictures of figures differ a little from machine to machine, so tests pass over them; and then a
figure could show anything. What it was drawn from does not differ.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

DIGITS = 3  # significant ones of a number, more than an eye reads off an axis
LENGTH = 8  # hex digits of the hash


def digest(figure: Figure) -> str:
    """Return how many panels and numbers a figure holds, and a hash of the rounded numbers.

    Lines, points, bars and pictures count; ticks, colours and texts do not.
    """
    told = hashlib.sha256()
    count = 0
    for axis in figure.axes:
        for numbers in _numbers_of(axis):
            rounded = [f"{number + 0.0:.{DIGITS}g}" for number in numbers]
            told.update(" ".join(rounded).encode())
            count += len(rounded)
    return f"figure: {len(figure.axes)} panels, {count:,} numbers, {told.hexdigest()[:LENGTH]}"


def tell_digests() -> None:
    """Let each figure that a notebook shows carry its digest as its text.

    Where no notebook runs, nothing is done.
    """
    from IPython import get_ipython  # only notebooks need it

    shell = get_ipython()  # type: ignore[no-untyped-call]
    if shell is None:
        return
    # a notebook's backend forgets what is said of figures at the moment it is loaded: load it first
    plt.switch_backend(plt.get_backend())
    in_words = shell.display_formatter.formatters["text/plain"]
    in_words.for_type(Figure, _write_digest)


def _write_digest(figure: Figure, printer: Any, _cycle: bool) -> None:
    printer.text(digest(figure))


def _numbers_of(axis: Axes) -> Iterator[np.ndarray]:
    """Yield the numbers of each thing that is drawn, one array a thing."""
    for line in axis.lines:
        yield _flat(line.get_xdata(orig=False))
        yield _flat(line.get_ydata(orig=False))
    for patch in axis.patches:
        if isinstance(patch, Rectangle):
            yield _flat([*patch.get_xy(), patch.get_width(), patch.get_height()])
    for collection in axis.collections:
        if isinstance(collection, LineCollection):
            for segment in collection.get_segments():
                yield _flat(segment)
            continue
        yield _flat(collection.get_offsets())
        if collection.get_array() is not None:
            yield _flat(collection.get_array())
    for image in axis.images:
        # a level more or less in a pixel is nothing: libraries round differently
        shown = np.ma.filled(np.ma.asarray(image.get_array()).astype(float), np.nan)
        yield _flat([*shown.shape, np.nanmean(shown), np.nanstd(shown)])


def _flat(numbers: Any) -> np.ndarray:
    filled = np.ma.filled(np.ma.asarray(numbers).astype(float), np.nan)
    return np.asarray(filled, dtype=float).ravel()
