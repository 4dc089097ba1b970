"""Images as arrays in one canonical order, whatever place they came from."""

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold

from ..config import MOST_PIXELS
from ..utils.checks import whole_number
from ..utils.errors import unknown
from . import facts
from .arrays import Whites, check_images, check_labels
from .folder import count_pictures, folder_state
from .locate import VARIABLE, Place, data_place
from .sources import Found, read

SIDE = 32  # pixels, of CIFAR-100's pictures


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their labels; indexing by an array, a slice or a mask gives an ImageSet.

    What it is called is worked out from the arrays whenever it is asked, for they can be changed.
    Raises ValueError for arrays of another kind or shape, and for labels that are no class's.
    """

    images: np.ndarray  # uint8 (N, H, W, 3), RGB
    labels: np.ndarray  # int64 (N,)
    classes: tuple[str, ...]  # their names
    coarse_labels: np.ndarray | None = None  # int64 (N,), of the 20 superclasses
    superclasses: tuple[str, ...] | None = None  # their names
    whites: Whites | None = None  # of grey images of more than 8 bits, if there were any
    source: str = "folder"  # where the images came from
    reason: str = ""  # why from there

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise ValueError unless images, labels and classes fit each other, also if changed."""
        if not isinstance(self.classes, Iterable) or isinstance(self.classes, str):
            raise ValueError(f"got classes {self.classes!r}, expected their names, one or more")
        images = check_images(self.images)
        classes = tuple(map(str, self.classes))
        labels = check_labels(self.labels, len(images), len(classes))
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "classes", classes)
        if self.coarse_labels is not None:
            coarse = check_labels(self.coarse_labels, len(images), len(self.superclasses or ()))
            object.__setattr__(self, "coarse_labels", coarse)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index) -> "ImageSet":
        if isinstance(index, int | np.integer):
            index = [index]
        coarse_labels = None
        if self.coarse_labels is not None:
            coarse_labels = self.coarse_labels[index]
        return replace(
            self,
            images=self.images[index],
            labels=self.labels[index],
            coarse_labels=coarse_labels,
        )

    def __repr__(self) -> str:
        return self.in_words(self.name)

    def in_words(self, name: str) -> str:
        """Return the set in one line, under a name: how many, how large, how many classes, why."""
        height, width = self.images.shape[1:3]
        return (
            f"{len(self):,} pictures, {width}×{height}, {len(self.classes)} classes,"
            f" {name} ({self.reason})"
        )

    @property
    def name(self) -> str:
        """The data's true name, for figures and records."""
        return data_name(self.source, cifar100=self.is_cifar100)

    @property
    def is_cifar100(self) -> bool:
        """Whether these are CIFAR-100's images and labels: a whole split, or a part that runs use.

        Another part of it cannot be told from what was changed.
        """
        return self.classes == facts.CLASSES and self.fingerprint in _known_fingerprints()

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the pixels and the labels as they are now, in this set's order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)
        height, width = self.images.shape[1:3]
        if height != width:  # the same bytes could be images of another shape
            digest.update(f"{height} {width}".encode())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def channel_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (mean, std) of each channel over all pixels, on a 0-1 scale, from exact counts."""
        counts = []
        for channel in range(3):
            counts.append(np.bincount(self.images[..., channel].ravel(), minlength=256))
        per_level = np.stack(counts)  # (3, 256): how many pixels have each value
        n_pixels = per_level.sum(1)
        levels = np.arange(256) / 255
        mean = per_level @ levels / n_pixels
        std = np.sqrt(per_level @ levels**2 / n_pixels - mean**2)
        return mean, std


def data_name(source: str, *, cifar100: bool) -> str:
    """Return what images are called that came from a source."""
    if cifar100:
        return "CIFAR-100"
    if source in ("official", "hub"):
        return "a part of CIFAR-100, or changed"
    return f"not CIFAR-100: {source}"


def _known_fingerprints() -> set[str]:
    """Return the fingerprints of CIFAR-100's splits and of the parts that runs use."""
    known = set(facts.FINGERPRINTS.values())
    for by_count in facts.PART_FINGERPRINTS.values():
        known.update(by_count.values())
    return known


def load_cifar100(
    split: str,
    root: str | Path | None = None,
    source: str = "auto",
    *,
    side: int = SIDE,
    own_pictures: bool = True,
) -> ImageSet:
    """Return one split of CIFAR-100, or of the pictures in `root`, in canonical order.

    split: "train" | "test". root: a folder (default: CIFARLIB_DATA, else data/ in the repository)
    with the official files or train/<class>/*, test/<class>/*, which are squared to `side` pixels;
    CIFAR-100's stay at 32. Where the default folder holds neither, CIFAR-100 is downloaded into it,
    and where that fails a generated stand-in is used: `reason` says why. own_pictures: whether
    other classes than CIFAR-100's will do. Raises ValueError where `root` or CIFARLIB_DATA holds
    neither, or what is there is damaged; ConnectionError where a source asked for by name cannot
    be reached.
    """
    if split not in facts.SPLITS:
        raise unknown("split", split, facts.SPLITS)
    side = whole_number("side", side, least=1, most=MOST_PIXELS)
    place = data_place(root)
    images = _load(split, place, source, side)
    if not own_pictures and images.classes != facts.CLASSES:
        raise ValueError(
            f"the pictures in {place.folder} have {len(images.classes)} classes of their own,"
            f" and this is about CIFAR-100's: unset {VARIABLE}, or name another folder in it"
        )
    return images


def _load(split: str, place: Place, source: str, side: int) -> ImageSet:
    is_resized = side != SIDE and source in ("auto", "folder")
    if is_resized and _may_be_a_tree_of_cifar100(place, split):
        images = _in_order(split, read(split, place, source, SIDE))
        if images.fingerprint == facts.FINGERPRINTS[split]:
            return images
    return _in_order(split, read(split, place, source, side))


def _may_be_a_tree_of_cifar100(place: Place, split: str) -> bool:
    """Return whether a place has as many pictures as CIFAR-100, whose own stay at 32 pixels."""
    if not place.holds_own_pictures:
        return False
    return count_pictures(place.folder, split) == facts.COUNTS[split]


def _in_order(split: str, found: Found) -> ImageSet:
    """Return what a source handed over in canonical order; ValueError for another hub's copy."""
    images = in_canonical_order(ImageSet(*found.pictures, source=found.source, reason=found.reason))
    if found.source == "hub" and images.fingerprint != facts.FINGERPRINTS[split]:
        raise ValueError(
            f"the hub's copy is not CIFAR-100: its fingerprint is {images.fingerprint}"
        )
    return images


# --- which pictures a run is about ----------------------------------------------------------------


def data_id(train: ImageSet, test: ImageSet) -> str:
    """Return eight hex digits of both fingerprints, or "" for CIFAR-100, which needs no name.

    The classes' names, where they are not CIFAR-100's, are among what is digested.
    """
    fingerprints = {"train": train.fingerprint, "test": test.fingerprint}
    if fingerprints == facts.FINGERPRINTS and train.classes == facts.CLASSES:
        return ""
    told = train.fingerprint + test.fingerprint
    if train.classes != facts.CLASSES:
        told += "\n".join(("", *train.classes))
    return hashlib.sha256(told.encode()).hexdigest()[:8]


def own_data_id(image_size: int) -> str:
    """Return the data_id of the pictures of one's own in the data folder, read at an image size.

    "" where there are none: then runs are about CIFAR-100, whatever stands in for it here.
    """
    place = data_place()
    if not place.holds_own_pictures:
        return ""
    return _own_data_id(place, image_size, folder_state(place.folder))


@functools.lru_cache
def _own_data_id(place: Place, image_size: int, state: str) -> str:
    """Read the pictures once for each `state` of their folder."""
    train = load_cifar100("train", place.folder, "folder", side=image_size)
    test = load_cifar100("test", place.folder, "folder", side=image_size)
    return data_id(train, test)


def canonical_order(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the indices that sort pictures by (SHA-1 of the C-order pixels, label).

    So the order is the same on every machine, whatever the order in which the pictures came.
    """
    digests = [hashlib.sha1(image).digest() for image in np.ascontiguousarray(images)]
    places = range(len(labels))
    order = sorted(places, key=lambda place: (digests[place], labels[place]))
    return np.array(order, dtype=np.int64)


def in_canonical_order(images: ImageSet) -> ImageSet:
    """Return a copy of an image set in canonical order: see canonical_order."""
    return images[canonical_order(images.images, images.labels)]


def split_folds(
    train: ImageSet,
    fold: int = 0,
    n_folds: int = 5,
    seed: int = 42,
) -> tuple[ImageSet, ImageSet]:
    """Split the training set into (train, valid), stratified; `fold` is the one that validates.

    In the write-up it is fold 0 of 5. Raises ValueError for a fold that is not one of `n_folds`,
    or a class of fewer pictures than folds, which it names.
    """
    kept, held_out = fold_places(train, fold, n_folds, seed)
    return train[kept], train[held_out]


def fold_places(
    train: ImageSet,
    fold: int = 0,
    n_folds: int = 5,
    seed: int = 42,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the places in the training set, int64, of what split_folds returns."""
    n_folds = whole_number("n_folds", n_folds, least=2)
    fold = whole_number("fold", fold, least=0, most=n_folds - 1)
    counts = np.bincount(train.labels, minlength=len(train.classes))
    smallest = int(counts.argmin())
    if counts[smallest] < n_folds:
        raise ValueError(
            f"the smallest class has {counts[smallest]} pictures ({train.classes[smallest]!r}),"
            f" expected {n_folds} or more for {n_folds} folds"
        )
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    kept, held_out = list(folds.split(train.labels, train.labels))[fold]
    return kept, held_out
