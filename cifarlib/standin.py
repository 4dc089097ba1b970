"""A generated stand-in for a machine that can't reach CIFAR-100: learnable, not trivial, never mistaken for it."""

import numpy as np

from . import cifar100
from .sources import Pictures, with_superclasses

SIDE = 32
CHUNK = 5000


def generate(split: str, *, counts: dict[str, int] = cifar100.COUNTS) -> Pictures:
    """Return `counts[split]` pictures of 100 classes under CIFAR-100's names; the same ones every time.

    A family (superclass) fixes the background's hue and texture, a member of it the shape in front and its hue.
    """
    empty = np.empty((counts[split], SIDE, SIDE, 3), dtype=np.uint8)
    pictures = with_superclasses(empty, np.arange(counts[split]) % len(cifar100.CLASSES), cifar100.CLASSES)
    members = np.array([cifar100.SUPERCLASSES[cifar100.SUPERCLASS_OF[name]].index(name) for name in cifar100.CLASSES])
    random = np.random.default_rng([2009, list(cifar100.COUNTS).index(split)])
    for start in range(0, counts[split], CHUNK):
        part = slice(start, start + CHUNK)
        pictures.images[part] = _draw(pictures.coarse_labels[part], members[pictures.labels[part]], random)
    return pictures


def _draw(families: np.ndarray, members: np.ndarray, random: np.random.Generator) -> np.ndarray:
    n = len(families)

    def vary(low: float, high: float) -> np.ndarray:
        return low + (high - low) * random.random((n, 1, 1), dtype=np.float32)

    family, member = families[:, None, None], members[:, None, None]
    scale, family_hue, member_hue = (a.astype(np.float32) for a in (family % 4, family // 4, member + 0.5))
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j].astype(np.float32)
    angle = vary(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    texture = np.sin((x * cos + y * sin) * (3 + 5 * scale) + vary(0, 2 * np.pi))
    background = _colour((family_hue + vary(-0.15, 0.15)) / 5, 0.45 + 0.3 * texture * vary(0.7, 1))

    dx, dy = x - vary(-0.4, 0.4), y - vary(-0.4, 0.4)
    size = vary(0.35, 0.7)
    radius = np.hypot(dx, dy) / size
    square = np.maximum(abs(dx * cos + dy * sin), abs(dy * cos - dx * sin)) / size
    shapes = [radius < 1, (radius < 1) & (radius > 0.55), square < 0.9, (square < 0.9) & (square > 0.5),
              (abs(dx) < 0.3 * size) | (abs(dy) < 0.3 * size)]  # fmt: skip
    inside = np.choose(member, shapes)
    foreground = _colour((member_hue + vary(-1.2, 1.2)) / 5, 0.75 * vary(0.6, 1) + 0 * x)

    pixels = np.where(inside[..., None], foreground, background) * vary(0.7, 1.1)[..., None]
    pixels += random.standard_normal(pixels.shape, dtype=np.float32) * vary(0.04, 0.14)[..., None]
    return (pixels.clip(0, 1) * 255).astype(np.uint8)


def _colour(hue: np.ndarray, value: np.ndarray) -> np.ndarray:
    phases = np.float32(2 * np.pi) * (hue[..., None] - np.array([0, 1 / 3, 2 / 3], dtype=np.float32))
    return value[..., None] * (0.65 + 0.35 * np.cos(phases))
