"""The places CIFAR-100, or pictures of one's own, can come from."""

import contextlib
import functools
import io
import pickle
import tarfile
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pooch
import torch
from huggingface_hub import hf_hub_download
from PIL import Image, ImageOps

from . import cifar100
from .files import ensure_folder, file_digest, unknown
from .progress import progress_bar

OFFICIAL_FOLDER, ARCHIVE = "cifar-100-python", "cifar-100-python.tar.gz"
NOT_PICTURES = {"thumbs.db", "desktop.ini"}
STALL_SECONDS, SLOW_BYTES = 8, 300_000  # readers report 70 kB/s at times


class Pictures(NamedTuple):
    """What a source hands over: images uint8 (N, H, W, 3), labels int64 (N,), names, coarse labels."""

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    coarse_labels: np.ndarray | None = None
    superclasses: tuple[str, ...] | None = None


def with_superclasses(images: np.ndarray, labels: Sequence[int], classes: tuple[str, ...]) -> Pictures:
    """Return Pictures, with the 20 superclasses if the classes are CIFAR-100's."""
    pictures = Pictures(images, np.asarray(labels, dtype=np.int64), classes)
    if classes != cifar100.CLASSES:
        return pictures
    superclasses = tuple(sorted(cifar100.SUPERCLASSES))
    coarse_of = np.array([superclasses.index(cifar100.SUPERCLASS_OF[name]) for name in classes])
    return pictures._replace(coarse_labels=coarse_of[pictures.labels], superclasses=superclasses)


def official_folder(root: Path) -> Path | None:
    """Return the folder in `root` with the official files, unpacked if only their archive is there, else None.

    Raises ValueError for an archive whose MD5 is not the official one.
    """
    folder, archive = root / OFFICIAL_FOLDER, root / ARCHIVE
    if folder.is_dir():
        return folder
    if any((root / name).is_file() for name in cifar100.FILE_MD5):
        return root
    if not archive.is_file():
        return None
    if (digest := file_digest(archive)) != cifar100.ARCHIVE_MD5:
        raise ValueError(f"{archive} is damaged: got MD5 {digest}, expected {cifar100.ARCHIVE_MD5}")
    with tempfile.TemporaryDirectory(dir=root) as temporary, tarfile.open(archive) as tar:
        tar.extractall(temporary, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # from 3.11.4 on
        with contextlib.suppress(OSError):  # another process was first: its files are checked when they are read
            (Path(temporary) / OFFICIAL_FOLDER).rename(folder)
    return folder


def read_official(folder: Path, split: str) -> Pictures:
    """Read one split of the official files; the pickle is opened only after its MD5 is right, else ValueError."""
    for name in ("meta", split):
        path, expected = folder / name, cifar100.FILE_MD5[name]
        if not path.is_file():
            raise ValueError(f"{path} is missing: expected the official files train, test and meta")
        data = path.read_bytes()
        if (digest := file_digest(io.BytesIO(data))) != expected:
            raise ValueError(f"{path} is damaged: got MD5 {digest}, expected {expected}; delete it or copy it anew")
    pictures = pickle.loads(data, encoding="latin1")
    images = torch.from_numpy(pictures["data"]).view(-1, 3, 32, 32).permute(0, 2, 3, 1)  # torch uses all cores
    return with_superclasses(images.contiguous().numpy(), pictures["fine_labels"], cifar100.CLASSES)


def download_official(root: Path, split: str, *, patient: bool = True) -> Pictures:
    """Fetch the official archive, whole or not at all, and read a split; ConnectionError if it fails or is too slow."""
    pooch.get_logger().setLevel("ERROR")
    host, known = cifar100.ARCHIVE_URL.removesuffix(ARCHIVE), {ARCHIVE: f"md5:{cifar100.ARCHIVE_MD5}"}
    store = pooch.create(ensure_folder(root), host, registry=known, retry_if_failed=1)
    bar = progress_bar(total=1, unit="B", unit_scale=True, desc=ARCHIVE)  # pooch sets the true total
    update = bar.update

    def watched(n: int) -> None:
        update(n)
        seconds = bar.format_dict["elapsed"]
        if not patient and seconds > STALL_SECONDS and bar.n < SLOW_BYTES * seconds:
            raise ConnectionError(f"{bar.n / seconds / 1000:.0f} kB/s is too slow")

    bar.update = watched
    try:
        with bar:
            store.fetch(ARCHIVE, downloader=pooch.HTTPDownloader(progressbar=bar, timeout=STALL_SECONDS))
    except (OSError, ValueError) as error:  # the transfer broke off, or its MD5 is wrong
        raise ConnectionError(f"could not download {cifar100.ARCHIVE_URL}: {error}") from None
    return read_official(official_folder(root), split)


def read_hub(split: str) -> Pictures:
    """Read one split from the Hugging Face hub's parquet copy; needs pyarrow. Raises ConnectionError."""
    try:
        import pyarrow.parquet

        name = f"cifar100/{split}-00000-of-00001.parquet"
        path = hf_hub_download(cifar100.HUB_REPOSITORY, name, repo_type="dataset", endpoint=cifar100.HUB_URL)
    except Exception as error:  # the hub's client raises a dozen kinds, all of them "not to be had"
        why = "pip install pyarrow" if isinstance(error, ImportError) else error
        raise ConnectionError(f"could not download {cifar100.HUB_REPOSITORY}: {why}") from None
    table = pyarrow.parquet.read_table(path, columns=["img", "fine_label"]).to_pydict()
    images = np.stack([read_picture(io.BytesIO(row["bytes"])) for row in table["img"]])
    return with_superclasses(images, table["fine_label"], cifar100.CLASSES)


def read_folder(root: Path, split: str, *, side: int = 32) -> Pictures:
    """Read pictures of any size from root/split/<class>/*, squared to `side` pixels.

    The classes are train/'s folders. ValueError for a missing split, too few classes, an unknown one, no picture.
    """
    for name in cifar100.COUNTS:
        if not (root / name).is_dir():
            raise ValueError(f"{root} has no folder {name}/: expected train/<class>/… and test/<class>/…")
    classes, folders = ([path.name for path in _visible(root / name) if path.is_dir()] for name in ("train", split))
    if len(classes) < 2:
        raise ValueError(f"{root / 'train'} holds {len(classes)} class folder(s), expected two or more")
    if strange := sorted({*folders} - {*classes}):
        raise unknown(f"class in {root / split}", strange[0], classes)
    paths = [path for name in folders for path in _visible(root / split / name)]
    if not paths:
        raise ValueError(f"{root / split} holds no pictures")
    with ThreadPoolExecutor() as pool:
        images = np.stack(list(pool.map(functools.partial(read_picture, side=side), paths)))
    return with_superclasses(images, [classes.index(path.parent.name) for path in paths], tuple(classes))


def read_picture(file: str | Path | BinaryIO, side: int = 32) -> np.ndarray:
    """Return one picture file as uint8 (side, side, 3): the middle square, resized; any colour mode.

    Raises ValueError for a file that is no picture, or a damaged one.
    """
    try:
        with Image.open(file) as picture:
            picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read {file} as a picture: {error}") from None
    picture = ImageOps.exif_transpose(picture)  # a phone's photo may be stored lying down
    if picture.mode[0] in "IF":  # 16 and 32 bit grey
        grey = np.asarray(picture, dtype=np.float64)
        scale = 255 / 65535 if grey.max() > 255 else 1
        picture = Image.fromarray((grey * scale).clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    square = min(picture.size)
    left, top = ((length - square) // 2 for length in picture.size)
    box = (left, top, left + square, top + square)
    return np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR, box=box))


def _visible(folder: Path) -> list[Path]:
    found = sorted(folder.iterdir(), key=lambda path: path.name)  # paths themselves sort otherwise on Windows
    return [path for path in found if path.name[0] != "." and path.name.lower() not in NOT_PICTURES]
