"""Images as arrays in one canonical order, whatever place they came from."""

import functools
import hashlib
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold

from ..utils.errors import unknown
from ..utils.files import user_folder
from ..utils.online import silent
from . import facts, sources, standin

SPLITS = ("train", "test")
SOURCES = ("auto", "official", "folder", "hub", "stand-in")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Pictures with their labels; indexing by an array, a slice or a mask gives an ImageSet."""

    images: np.ndarray  # uint8 (N, H, W, 3), RGB
    labels: np.ndarray  # int64 (N,)
    classes: tuple[str, ...]  # their names
    coarse_labels: np.ndarray | None = None  # int64 (N,), of the 20 superclasses
    superclasses: tuple[str, ...] | None = None  # their names
    source: str = "folder"  # where the pictures came from
    reason: str = ""  # why from there
    is_cifar100: bool = False  # whether this is the true split

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
        height, width = self.images.shape[1:3]
        return (
            f"{len(self):,} pictures, {width}×{height}, {len(self.classes)} classes,"
            f" {self.name} ({self.reason})"
        )

    @property
    def name(self) -> str:
        """The data's true name, for figures and records."""
        if self.is_cifar100:
            return "CIFAR-100"
        return f"not CIFAR-100: {self.source}"

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the pixels and the labels, in this set's order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)
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


def load_cifar100(
    split: str,
    root: str | Path | None = None,
    source: str = "auto",
    *,
    side: int = 32,
) -> ImageSet:
    """Return one split of CIFAR-100, or of the pictures in `root`, in canonical order.

    split: "train" | "test". root: a folder (default: CIFARLIB_DATA, else data/ in the repository)
    with the official files or train/<class>/*, test/<class>/*, which are squared to `side` pixels.
    Where it holds neither, CIFAR-100 is downloaded into it, and where that fails a generated
    stand-in is used: `reason` says why. Raises ValueError for what is there but damaged,
    ConnectionError where a source asked for by name cannot be reached.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if source not in SOURCES:
        raise unknown("source", source, SOURCES)
    folder = _data_folder(root)
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"{folder} is a file: expected a folder with CIFAR-100 or one's own pictures"
        )
    found = _read(split, folder, source, side)
    images = ImageSet(*found.pictures, source=found.source, reason=found.reason)
    images = images[canonical_order(images.images, images.labels)]
    is_cifar100 = images.fingerprint == facts.FINGERPRINTS[split]
    if found.source == "hub" and not is_cifar100:
        raise ValueError(
            f"the hub's copy is not CIFAR-100: its fingerprint is {images.fingerprint}"
        )
    return replace(images, is_cifar100=is_cifar100)


def holds_own_pictures(root: str | Path | None = None) -> bool:
    """Say whether the data folder (see load_cifar100) holds one's own pictures: train/ or test/."""
    folder = _data_folder(root)
    return any((folder / split).is_dir() for split in SPLITS)


def canonical_order(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the indices that sort pictures by (SHA-1 of the C-order pixels, label).

    So the order is the same on every machine, whatever the order in which the pictures came.
    """
    digests = [hashlib.sha1(image).digest() for image in np.ascontiguousarray(images)]
    places = range(len(labels))
    return np.array(sorted(places, key=lambda place: (digests[place], labels[place])))


def split_folds(
    train: ImageSet,
    fold: int = 0,
    n_folds: int = 5,
    seed: int = 42,
) -> tuple[ImageSet, ImageSet]:
    """Split the training set into (train, valid), stratified; `fold` is the one that validates.

    In the write-up it is fold 0 of 5. Raises ValueError for a fold that is not one of `n_folds`,
    or a class of fewer pictures than folds.
    """
    if not 0 <= fold < n_folds:
        raise ValueError(f"got fold {fold}, expected 0 to {n_folds - 1}")
    smallest = np.bincount(train.labels, minlength=len(train.classes)).min()
    if smallest < n_folds:
        raise ValueError(
            f"the smallest class has {smallest} pictures,"
            f" expected {n_folds} or more for {n_folds} folds"
        )
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    kept, held_out = list(folds.split(train.labels, train.labels))[fold]
    return train[kept], train[held_out]


# --- where the pictures come from: one function a source ----------------------------------------


class _Found(NamedTuple):
    """Pictures, the source's name and why it was taken."""

    pictures: sources.Pictures
    source: str
    reason: str


def _data_folder(root: str | Path | None) -> Path:
    if root is None:
        return user_folder("CIFARLIB_DATA", "data")
    return Path(root).expanduser()


def _read(split: str, root: Path, source: str, side: int) -> _Found:
    if source == "stand-in":
        return _Found(standin.generate(split), "stand-in", "generated, as asked")
    if source == "folder":
        return _read_folder(split, root, side)
    if source == "official":
        return _read_named_host(split, root, source)
    if source == "hub":
        return _read_named_host(split, root, source)
    return _read_nearest(split, root, side)


def _read_nearest(split: str, root: Path, side: int) -> _Found:
    """Take what is in the folder, else download CIFAR-100, else generate the stand-in."""
    if holds_own_pictures(root):
        return _read_folder(split, root, side)
    official = _read_official(split, root)
    if official:
        return official
    failures = []
    try:
        # a slow official host is given up only where the hub can take its place
        return _download_official(split, root, patient=not _hub_can_serve())
    except ConnectionError as error:
        failures.append(str(error))
    try:
        return _download_hub(split)
    except ConnectionError as error:
        failures.append(str(error))
    advice = (
        "to use CIFAR-100, put cifar-100-python/ into data/"
        " or into the folder that CIFARLIB_DATA names"
    )
    reason = f"generated, for none could be had ({'; '.join(failures)}); {advice}"
    return _Found(standin.generate(split), "stand-in", reason)


def _read_named_host(split: str, root: Path, source: str) -> _Found:
    """Take the official files or the hub's copy and nothing else."""
    try:
        if source == "hub":
            return _download_hub(split)
        return _read_official(split, root) or _download_official(split, root, patient=True)
    except ConnectionError as error:
        raise ConnectionError(
            f"CIFAR-100 is not in {root} and cannot be downloaded: {error}"
        ) from None


def _read_folder(split: str, root: Path, side: int) -> _Found:
    pictures = sources.read_folder(root, split, side=side)
    return _Found(pictures, "folder", "a folder of pictures")


def _read_official(split: str, root: Path) -> _Found | None:
    folder = sources.official_folder(root)
    if folder is None:
        return None
    pictures = sources.read_official(folder, split)
    return _Found(pictures, "official", "the official files, MD5 verified")


def _download_official(split: str, root: Path, *, patient: bool) -> _Found:
    host = _ask_host(facts.ARCHIVE_URL)
    try:
        pictures = sources.download_official(root, split, patient=patient)
    except ConnectionError as error:
        raise ConnectionError(f"{host}: {error}") from None
    return _Found(pictures, "official", f"downloaded from {host}")


def _download_hub(split: str) -> _Found:
    host = _ask_host(facts.HUB_URL)
    try:
        pictures = sources.read_hub(split)
    except ConnectionError as error:
        raise ConnectionError(f"{host}: {error}") from None
    return _Found(pictures, "hub", f"downloaded from {host}")


def _ask_host(url: str) -> str:
    """Return the host of an address; ConnectionError if it does not answer."""
    host = url.split("/")[2]
    why = silent(url)
    if why:
        raise ConnectionError(f"{host}: {why}")
    return host


def _hub_can_serve() -> bool:
    return importlib.util.find_spec("pyarrow") is not None and not silent(facts.HUB_URL)
