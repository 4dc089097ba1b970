"""Pictures side by side."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ...lessons.figures import WIDTH


def picture_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    columns: int = 10,
    row_labels: Sequence[str] | None = None,
    size: float | None = None,
) -> Figure:
    """Show pictures (H, W, 3), uint8 or floats on 0-1, row by row.

    row_labels: one left of each row. size: of a picture, in inches; by default the pictures fill
    the width.
    """
    rows = -(-len(images) // columns)  # rounded up
    size = size or WIDTH / columns
    row_height = 1.04 * size
    gap = 0.06  # of a picture's height
    if titles is not None:
        row_height = 1.28 * size
        gap = 0.3
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(size * columns, row_height * rows),
        squeeze=False,
        subplot_kw={"xticks": [], "yticks": []},
    )
    for axis in axes.flat[len(images) :]:
        axis.set_visible(False)
    for place, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(image, interpolation="nearest")
        if titles is not None:
            axis.set_title(titles[place], fontsize=7, pad=2)
        if row_labels is not None and place % columns == 0:
            label = row_labels[place // columns]
            axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    figure.subplots_adjust(wspace=0.06, hspace=gap)
    return figure
