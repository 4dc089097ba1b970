"""Images as arrays in one canonical order, whatever place they came from."""

import functools
import hashlib
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold

from . import cifar100, sources, standin
from .files import unknown, user_folder
from .network import silent

SPLITS = ("train", "test")
SOURCES = ("auto", "official", "folder", "hub", "stand-in")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Pictures with their labels; indexing by an index array, a slice or a mask gives an ImageSet.

    images: uint8 (N, H, W, 3) RGB; labels: int64 (N,); classes: their names; coarse_labels and superclasses: the
    same of the 20, or None; source: where the pictures came from, reason: why; is_cifar100: the true split's or not.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    coarse_labels: np.ndarray | None = None
    superclasses: tuple[str, ...] | None = None
    source: str = "folder"
    reason: str = ""
    is_cifar100: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index) -> "ImageSet":
        index = [index] if isinstance(index, int | np.integer) else index
        coarse = None if self.coarse_labels is None else self.coarse_labels[index]
        return replace(self, images=self.images[index], labels=self.labels[index], coarse_labels=coarse)

    def __repr__(self) -> str:
        height, width = self.images.shape[1:3]
        return f"{len(self):,} pictures, {width}×{height}, {len(self.classes)} classes, {self.name} ({self.reason})"

    @property
    def name(self) -> str:
        """The data's true name, for figures and records."""
        return "CIFAR-100" if self.is_cifar100 else f"not CIFAR-100: {self.source}"

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the pixels and the labels, in this set's order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images))
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def channel_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (mean, std) of each channel over all pixels, on a 0-1 scale, from exact counts."""
        counts = np.stack([np.bincount(self.images[..., channel].ravel(), minlength=256) for channel in range(3)])
        levels = np.arange(256) / 255
        mean = counts @ levels / counts.sum(1)
        return mean, np.sqrt(counts @ levels**2 / counts.sum(1) - mean**2)


def load_cifar100(split: str, root: str | Path | None = None, source: str = "auto", *, side: int = 32) -> ImageSet:
    """Return one split of CIFAR-100, or of the pictures in `root`, in canonical order.

    split: "train" | "test". root: a folder (default: CIFARLIB_DATA, else data/ in the repository) with the official
    files or train/<class>/*, test/<class>/*, which are squared to `side` pixels. Where it holds neither, CIFAR-100 is
    downloaded into it, and where that fails a generated stand-in is used: `reason` says why. Raises ValueError
    for what is there but damaged, ConnectionError where a source asked for by name cannot be reached.
    """
    for kind, got, known in (("split", split, SPLITS), ("source", source, SOURCES)):
        if got not in known:
            raise unknown(kind, got, known)
    root = _data_folder(root)
    if root.exists() and not root.is_dir():
        raise ValueError(f"{root} is a file: expected a folder with CIFAR-100 or one's own pictures")
    pictures, source, reason = _read(split, root, source, side)
    loaded = ImageSet(*pictures, source=source, reason=reason)[canonical_order(pictures.images, pictures.labels)]
    is_cifar100 = loaded.fingerprint == cifar100.FINGERPRINTS[split]
    if source == "hub" and not is_cifar100:
        raise ValueError(f"the hub's copy is not CIFAR-100: its fingerprint is {loaded.fingerprint}")
    return replace(loaded, is_cifar100=is_cifar100)


def holds_own_pictures(root: str | Path | None = None) -> bool:
    """Say whether the data folder (see load_cifar100) holds pictures of one's own: a folder train/ or test/."""
    return any((_data_folder(root) / name).is_dir() for name in SPLITS)


def _data_folder(root: str | Path | None) -> Path:
    return user_folder("CIFARLIB_DATA", "data") if root is None else Path(root).expanduser()


def _read(split: str, root: Path, source: str, side: int) -> tuple[sources.Pictures, str, str]:
    if source == "stand-in":
        return standin.generate(split), source, "generated, as asked"
    if source == "folder" or (source == "auto" and holds_own_pictures(root)):
        return sources.read_folder(root, split, side=side), "folder", "a folder of pictures"
    if source != "hub" and (folder := sources.official_folder(root)):
        return sources.read_official(folder, split), "official", "the official files, MD5 verified"
    # a slow official host is given up only where the hub can take its place
    patient = source == "official" or not importlib.util.find_spec("pyarrow") or bool(silent(cifar100.HUB_URL))
    urls, failures = {"official": cifar100.ARCHIVE_URL, "hub": cifar100.HUB_URL}, []
    for name in urls if source == "auto" else (source,):
        host, why = urls[name].split("/")[2], silent(urls[name])
        try:
            if not why and name == "hub":
                return sources.read_hub(split), name, f"downloaded from {host}"
            if not why:
                return sources.download_official(root, split, patient=patient), name, f"downloaded from {host}"
        except ConnectionError as error:
            why = error
        failures.append(f"{host}: {why}")
    if source != "auto":
        raise ConnectionError(f"CIFAR-100 is not in {root} and cannot be downloaded: {'; '.join(failures)}")
    advice = "to use CIFAR-100, put cifar-100-python/ into data/ or into the folder that CIFARLIB_DATA names"
    return standin.generate(split), "stand-in", f"generated, for none could be had ({'; '.join(failures)}); {advice}"


def canonical_order(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the indices that sort pictures by (SHA-1 of the C-order pixels, label): the same on every machine."""
    digests = [hashlib.sha1(image).digest() for image in np.ascontiguousarray(images)]
    return np.array(sorted(range(len(labels)), key=lambda place: (digests[place], labels[place])))


def split_folds(train: ImageSet, fold: int = 0, n_folds: int = 5, seed: int = 42) -> tuple[ImageSet, ImageSet]:
    """Split the training set into (train, valid), stratified; `fold` validates, as fold 0 of 5 in the write-up.

    Raises ValueError for a fold that is not one of `n_folds`, or a class of fewer pictures than folds.
    """
    if not 0 <= fold < n_folds:
        raise ValueError(f"got fold {fold}, expected 0 to {n_folds - 1}")
    if (smallest := np.bincount(train.labels, minlength=len(train.classes)).min()) < n_folds:
        raise ValueError(f"the smallest class has {smallest} pictures, expected {n_folds} or more for {n_folds} folds")
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(train.labels, train.labels)
    kept, held_out = list(folds)[fold]
    return train[kept], train[held_out]
