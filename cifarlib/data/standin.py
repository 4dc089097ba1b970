"""A generated stand-in for CIFAR-100, where that can't be had.

It is learnable, not trivial, and never mistaken for CIFAR-100.
"""

import functools

import numpy as np

from . import facts
from .arrays import Pictures, with_superclasses

SIDE = 32  # pixels
CHUNK = 5000  # pictures drawn at a time


def generate(split: str, *, counts: dict[str, int] = facts.COUNTS) -> Pictures:
    """Return `counts[split]` pictures of 100 classes under CIFAR-100's names, not to be written to.

    They are the same ones every time. A family (superclass) fixes the background's hue and texture,
    a member of it the shape in front and its hue.
    """
    return _generate(split, counts[split])


@functools.lru_cache(maxsize=len(facts.COUNTS))
def _generate(split: str, n: int) -> Pictures:
    """Generate once a process: it takes seconds, and every run loads its pictures."""
    empty = np.empty((n, SIDE, SIDE, 3), dtype=np.uint8)
    pictures = with_superclasses(empty, np.arange(n) % len(facts.CLASSES), facts.CLASSES)
    assert pictures.coarse_labels is not None  # the classes are CIFAR-100's
    rng = np.random.default_rng([2009, list(facts.COUNTS).index(split)])
    members = _places_in_family()
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        pictures.images[part] = _draw(
            pictures.coarse_labels[part],
            members[pictures.labels[part]],
            rng,
        )
    for array in (pictures.images, pictures.labels, pictures.coarse_labels):
        array.flags.writeable = False
    return pictures


def _places_in_family() -> np.ndarray:
    """Return for each class (100,) which of the five of its superclass it is."""
    places = []
    for name in facts.CLASSES:
        family = facts.SUPERCLASSES[facts.SUPERCLASS_OF[name]]
        places.append(family.index(name))
    return np.array(places)


def _draw(families: np.ndarray, members: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return uint8 pictures (N, SIDE, SIDE, 3) for superclasses (N,) and members (N,)."""
    n = len(families)

    def vary(low: float, high: float) -> np.ndarray:
        """Return one random number a picture, (N, 1, 1)."""
        return low + (high - low) * rng.random((n, 1, 1), dtype=np.float32)

    family = families[:, None, None]
    scale = (family % 4).astype(np.float32)
    family_hue = (family // 4).astype(np.float32)
    member = members[:, None, None]
    member_hue = (member + 0.5).astype(np.float32)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j].astype(np.float32)

    # behind: stripes whose width and hue tell the family
    angle = vary(0, 2 * np.pi)
    cos = np.cos(angle)
    sin = np.sin(angle)
    texture = np.sin((x * cos + y * sin) * (3 + 5 * scale) + vary(0, 2 * np.pi))
    background = _colour((family_hue + vary(-0.15, 0.15)) / 5, 0.45 + 0.3 * texture * vary(0.7, 1))

    # in front: a disc, a ring, a square, a frame or a cross, somewhere near the middle
    dx = x - vary(-0.4, 0.4)
    dy = y - vary(-0.4, 0.4)
    size = vary(0.35, 0.7)
    radius = np.hypot(dx, dy) / size
    square = np.maximum(abs(dx * cos + dy * sin), abs(dy * cos - dx * sin)) / size
    shapes = [
        radius < 1,
        (radius < 1) & (radius > 0.55),
        square < 0.9,
        (square < 0.9) & (square > 0.5),
        (abs(dx) < 0.3 * size) | (abs(dy) < 0.3 * size),
    ]
    inside = np.choose(member, shapes)
    # 0 * x gives the plain colour a picture's shape
    foreground = _colour((member_hue + vary(-1.2, 1.2)) / 5, 0.75 * vary(0.6, 1) + 0 * x)

    # another light each time, and a camera's noise
    pixels = np.where(inside[..., None], foreground, background) * vary(0.7, 1.1)[..., None]
    noise = rng.standard_normal(pixels.shape, dtype=np.float32)
    pixels += noise * vary(0.04, 0.14)[..., None]
    return (pixels.clip(0, 1) * 255).astype(np.uint8)


def _colour(hue: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return RGB (…, 3) on a 0-1 scale for hues on a 0-1 circle."""
    thirds = np.array([0, 1 / 3, 2 / 3], dtype=np.float32)
    phases = np.float32(2 * np.pi) * (hue[..., None] - thirds)
    return value[..., None] * (0.65 + 0.35 * np.cos(phases))
