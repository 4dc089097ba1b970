"""Images as arrays in one canonical order, whatever place they came from."""

import functools
import hashlib
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

    images: uint8 (N, H, W, 3) RGB; labels: int64 (N,); classes: the label names; coarse_labels: int64 (N,)
    or None; superclasses: their names or None; source: where the pictures came from; reason: one line that
    says why; is_cifar100: whether the split's fingerprint was the true one.
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

    split: "train" | "test". root: a folder (default: CIFARLIB_DATA, else data/ in the repository) with the
    official files or train/<class>/*, test/<class>/*. Where it holds neither, CIFAR-100 is downloaded into
    it, and where no host answers a generated stand-in is used: `reason` says which and why. side: pixels to
    which pictures of a folder are squared. Raises ValueError for what is there but damaged, and
    ConnectionError where a source asked for by name cannot be reached.
    """
    for kind, got, known in (("split", split, SPLITS), ("source", source, SOURCES)):
        if got not in known:
            raise unknown(kind, got, known)
    root = user_folder("CIFARLIB_DATA", "data") if root is None else Path(root).expanduser()
    if root.exists() and not root.is_dir():
        raise ValueError(f"{root} is a file: expected a folder with CIFAR-100 or one's own pictures")
    pictures, source, reason = _read(split, root, source, side)
    order = canonical_order(pictures.images, pictures.labels)
    loaded = ImageSet(*pictures, source=source, reason=reason)[order]
    return replace(loaded, is_cifar100=loaded.fingerprint == cifar100.FINGERPRINTS[split])


def _read(split: str, root: Path, source: str, side: int) -> tuple[sources.Pictures, str, str]:
    if source == "folder" or (source == "auto" and sources.is_folder_tree(root)):
        return sources.read_folder(root, split, side=side), "folder", "a folder of pictures"
    if source in ("auto", "official"):
        if folder := sources.official_folder(root):
            return sources.read_official(folder, split), "official", "the official files, MD5 verified"
        if (root / sources.ARCHIVE).is_file():
            folder = sources.unpack_archive(root / sources.ARCHIVE, root)
            return sources.read_official(folder, split), "official", "the official archive, MD5 verified"
    hosts = {
        "official": (cifar100.ARCHIVE_URL, lambda: sources.read_official(sources.download_official(root), split)),
        "hub": ("https://huggingface.co", lambda: sources.read_hub(split)),
    }
    failures = []
    for name in [name for name in hosts if source in ("auto", name)]:
        url, read = hosts[name]
        host = url.split("/")[2]
        try:
            if why := silent(url):
                raise ConnectionError(f"{host}: {why}")
            return read(), name, f"downloaded from {host}"
        except ConnectionError as error:
            failures.append(str(error))
    if source in hosts:
        raise ConnectionError(f"CIFAR-100 is not in {root} and cannot be downloaded: {'; '.join(failures)}")
    asked = "as asked" if source == "stand-in" else "no CIFAR-100 in CIFARLIB_DATA or data/, and no host answers"
    return standin.generate(split), "stand-in", f"generated; {asked}"


def canonical_order(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the indices that sort pictures by (SHA-1 of the C-order pixels, label).

    The order depends on the pictures alone, so folds, subsets and records mean the same pictures on every
    machine, and any prefix is a fair sample.
    """
    digests = [hashlib.sha1(image).digest() for image in np.ascontiguousarray(images)]
    keys = list(zip(digests, labels.tolist(), strict=True))
    return np.array(sorted(range(len(keys)), key=keys.__getitem__))


def split_folds(train: ImageSet, fold: int = 0, n_folds: int = 5, seed: int = 42) -> tuple[ImageSet, ImageSet]:
    """Split the training set into (train, valid), stratified by class; `fold` is the validation part.

    The write-up validates on fold 0 of 5, shuffled with seed 42: 40,000 and 10,000 pictures.
    """
    if not 0 <= fold < n_folds:
        raise ValueError(f"got fold {fold}, expected 0 to {n_folds - 1}")
    smallest = int(np.bincount(train.labels, minlength=len(train.classes)).min())
    if smallest < n_folds:
        raise ValueError(f"the smallest class has {smallest} pictures, expected {n_folds} or more for {n_folds} folds")
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(train.labels, train.labels)
    kept, held_out = list(folds)[fold]
    return train[kept], train[held_out]
