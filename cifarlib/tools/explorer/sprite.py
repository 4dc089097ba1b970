"""Many small pictures in one WebP image, as good as a number of bytes allows."""

import io

import numpy as np
from PIL import Image

LOWEST_QUALITY = 20  # below it classes can no longer be told from each other
HIGHEST_QUALITY = 95


def sprite_sheet(images: np.ndarray, columns: int) -> np.ndarray:
    """Return pictures side by side, uint8 (rows * H, columns * W, 3), by row; what is left is grey.

    images: uint8 (N, H, W, 3). Picture i lies at row i // columns, column i % columns.
    """
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    places = np.full((rows * columns, height, width, channels), 128, np.uint8)
    places[:n] = images
    grid = places.reshape(rows, columns, height, width, channels)
    return grid.swapaxes(1, 2).reshape(rows * height, columns * width, channels)


def best_webp(sheet: np.ndarray, most_bytes: int) -> bytes:
    """Return a picture as WebP at the best quality at which it has `most_bytes` at most.

    sheet: uint8 (H, W, 3), RGB. Raises ValueError where even the lowest quality has more.
    """
    best = _webp(sheet, LOWEST_QUALITY)
    if len(best) > most_bytes:
        raise ValueError(
            f"the pictures take {len(best):,} bytes at the lowest quality, {LOWEST_QUALITY},"
            f" expected {most_bytes:,} at most: show fewer runs"
        )
    low = LOWEST_QUALITY + 1
    high = HIGHEST_QUALITY
    # halve what is left: an encoding takes a second, and there are 75 qualities
    while low <= high:
        middle = (low + high) // 2
        tried = _webp(sheet, middle)
        if len(tried) <= most_bytes:
            best = tried
            low = middle + 1
        else:
            high = middle - 1
    return best


def _webp(sheet: np.ndarray, quality: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(sheet).save(content, "WEBP", quality=quality, method=4)
    return content.getvalue()
