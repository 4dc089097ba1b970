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

from ..utils.errors import unknown
from ..utils.files import ensure_folder, file_digest
from ..utils.progress import progress_bar
from . import facts

OFFICIAL_FOLDER = "cifar-100-python"
ARCHIVE = "cifar-100-python.tar.gz"
NOT_PICTURES = {"thumbs.db", "desktop.ini"}
STALL_SECONDS = 8
SLOW_BYTES = 300_000  # a second; readers report 70 kB/s at times


class Pictures(NamedTuple):
    """What a source hands over: pictures, labels and names, with superclasses if there are any."""

    images: np.ndarray  # uint8 (N, H, W, 3), RGB
    labels: np.ndarray  # int64 (N,)
    classes: tuple[str, ...]  # their names
    coarse_labels: np.ndarray | None = None  # int64 (N,), of the superclasses
    superclasses: tuple[str, ...] | None = None  # their names


def with_superclasses(
    images: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    classes: tuple[str, ...],
) -> Pictures:
    """Return Pictures, with the 20 superclasses if the classes are CIFAR-100's."""
    pictures = Pictures(images, np.asarray(labels, dtype=np.int64), classes)
    if classes != facts.CLASSES:
        return pictures
    superclasses = tuple(sorted(facts.SUPERCLASSES))
    coarse_of = np.array([superclasses.index(facts.SUPERCLASS_OF[name]) for name in classes])
    return pictures._replace(
        coarse_labels=coarse_of[pictures.labels],
        superclasses=superclasses,
    )


# --- the official files -------------------------------------------------------------------------


def official_folder(root: Path) -> Path | None:
    """Return the folder in `root` with the official files, or None where there is none.

    Where only their archive is there it is unpacked. Raises ValueError for an archive whose MD5 is
    not the official one.
    """
    folder = root / OFFICIAL_FOLDER
    if folder.is_dir():
        return folder
    if any((root / name).is_file() for name in facts.FILE_MD5):
        return root
    archive = root / ARCHIVE
    if archive.is_file():
        _unpack(archive, folder)
        return folder
    return None


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the official archive to `folder`, whole or not at all."""
    digest = file_digest(archive)
    if digest != facts.ARCHIVE_MD5:
        raise ValueError(f"{archive} is damaged: got MD5 {digest}, expected {facts.ARCHIVE_MD5}")
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(temporary)
        # another process may have been first: its files are checked when they are read
        with contextlib.suppress(OSError):
            (Path(temporary) / OFFICIAL_FOLDER).rename(folder)


def read_official(folder: Path, split: str) -> Pictures:
    """Read one split of the official files; ValueError for one that is missing or damaged.

    The pickle is opened only after its MD5 is right, for opening a pickle can run any code.
    """
    for name in ("meta", split):
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{path} is missing: expected the official files train, test and meta")
        data = path.read_bytes()
        digest = file_digest(io.BytesIO(data))
        expected = facts.FILE_MD5[name]
        if digest != expected:
            raise ValueError(
                f"{path} is damaged: got MD5 {digest}, expected {expected};"
                " delete it or copy it anew"
            )
    pictures = pickle.loads(data, encoding="latin1")
    # rows of 3,072 bytes, channel by channel; torch turns them with all cores
    planes = torch.from_numpy(pictures["data"]).view(-1, 3, 32, 32)
    images = planes.permute(0, 2, 3, 1).contiguous().numpy()
    return with_superclasses(images, pictures["fine_labels"], facts.CLASSES)


def download_official(root: Path, split: str, *, patient: bool = True) -> Pictures:
    """Fetch the official archive into `root`, whole or not at all, and read a split.

    Raises ConnectionError if it fails, or, unless `patient`, if it is too slow.
    """
    pooch.get_logger().setLevel("ERROR")
    store = pooch.create(
        ensure_folder(root),
        facts.ARCHIVE_URL.removesuffix(ARCHIVE),
        registry={ARCHIVE: f"md5:{facts.ARCHIVE_MD5}"},
        retry_if_failed=1,
    )
    # pooch sets the bar's true total
    with progress_bar(total=1, unit="B", unit_scale=True, desc=ARCHIVE) as bar:
        if not patient:
            _give_up_when_slow(bar)
        downloader = pooch.HTTPDownloader(progressbar=bar, timeout=STALL_SECONDS)
        try:
            store.fetch(ARCHIVE, downloader=downloader)
        except (OSError, ValueError) as error:  # the transfer broke off, or its MD5 is wrong
            raise ConnectionError(f"could not download {facts.ARCHIVE_URL}: {error}") from None
    folder = official_folder(root)
    assert folder is not None  # the archive is there
    return read_official(folder, split)


def _give_up_when_slow(bar) -> None:
    """Let a download's bar raise ConnectionError once the host proves slow."""
    update = bar.update

    def watched(n: int) -> None:
        update(n)
        seconds = bar.format_dict["elapsed"]
        if seconds > STALL_SECONDS and bar.n < SLOW_BYTES * seconds:
            raise ConnectionError(f"{bar.n / seconds / 1000:.0f} kB/s is too slow")

    bar.update = watched


# --- the hub ------------------------------------------------------------------------------------


def read_hub(split: str) -> Pictures:
    """Read one split from the Hugging Face hub's parquet copy; needs pyarrow.

    Raises ConnectionError where it is not to be had.
    """
    try:
        import pyarrow.parquet  # optional

        path = hf_hub_download(
            facts.HUB_REPOSITORY,
            f"cifar100/{split}-00000-of-00001.parquet",
            repo_type="dataset",
            endpoint=facts.HUB_URL,
        )
    except ImportError:
        raise ConnectionError(
            f"could not download {facts.HUB_REPOSITORY}: pip install pyarrow"
        ) from None
    except Exception as error:  # the hub's client raises a dozen kinds, all of them "not to be had"
        raise ConnectionError(f"could not download {facts.HUB_REPOSITORY}: {error}") from None
    table = pyarrow.parquet.read_table(path, columns=["img", "fine_label"]).to_pydict()
    images = [read_picture(io.BytesIO(row["bytes"])) for row in table["img"]]
    return with_superclasses(np.stack(images), table["fine_label"], facts.CLASSES)


# --- a folder of pictures -----------------------------------------------------------------------


def read_folder(root: Path, split: str, *, side: int = 32) -> Pictures:
    """Read pictures of any size from root/split/<class>/*, squared to `side` pixels.

    The classes are the folders of train/. Raises ValueError for a missing split, too few classes,
    an unknown one, no picture, or one that cannot be read.
    """
    for name in facts.COUNTS:
        if not (root / name).is_dir():
            raise ValueError(
                f"{root} has no folder {name}/: expected train/<class>/… and test/<class>/…"
            )
    classes = _class_folders(root / "train")
    folders = _class_folders(root / split)
    if len(classes) < 2:
        raise ValueError(
            f"{root / 'train'} holds {len(classes)} class folder(s), expected two or more"
        )
    strange = sorted(set(folders) - set(classes))
    if strange:
        raise unknown(f"class in {root / split}", strange[0], classes)

    paths = []
    for name in folders:
        paths += _visible(root / split / name)
    if not paths:
        raise ValueError(f"{root / split} holds no pictures")
    labels = [classes.index(path.parent.name) for path in paths]
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(functools.partial(read_picture, side=side), paths))
    return with_superclasses(np.stack(images), labels, tuple(classes))


def read_picture(file: str | Path | BinaryIO, side: int = 32) -> np.ndarray:
    """Return one picture file as uint8 (side, side, 3): the middle square, resized.

    Any colour mode will do. Raises ValueError for a file that is no picture, or a damaged one.
    """
    picture: Image.Image
    try:
        with Image.open(file) as picture:
            picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read {file} as a picture: {error}") from None
    picture = ImageOps.exif_transpose(picture)  # a phone's photo may be stored lying down
    picture = _as_rgb(picture)
    square = min(picture.size)
    left = (picture.width - square) // 2
    top = (picture.height - square) // 2
    small = picture.resize(
        (side, side),
        Image.Resampling.BILINEAR,
        box=(left, top, left + square, top + square),
    )
    return np.asarray(small)


def _as_rgb(picture: Image.Image) -> Image.Image:
    """Return a picture of any colour mode in RGB, what is transparent in white."""
    if picture.mode[0] in "IF":  # 16 and 32 bit grey
        grey = np.asarray(picture, dtype=np.float64)
        if grey.max() > 255:
            grey = grey * (255 / 65535)
        picture = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    return picture.convert("RGB")


def _class_folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, in order."""
    return [path.name for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    """Return what a folder holds, in the order of the names, without hidden and systems' files."""
    found = []
    for path in folder.iterdir():
        if not path.name.startswith(".") and path.name.lower() not in NOT_PICTURES:
            found.append(path)
    return sorted(found, key=lambda path: path.name)  # paths themselves sort otherwise on Windows
