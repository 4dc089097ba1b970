"""The places CIFAR-100, or pictures of one's own, can come from."""

import io
import pickle
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pooch
import torch
from PIL import Image

from . import cifar100
from .files import ensure_folder, file_digest
from .progress import progress_bar

OFFICIAL_FOLDER, ARCHIVE = "cifar-100-python", "cifar-100-python.tar.gz"
NOT_PICTURES = {"thumbs.db", "desktop.ini"}
STALL_SECONDS, SLOW_BYTES = 8, 300_000  # readers report 70 kB/s at times


class Pictures(NamedTuple):
    """What a source hands over: images uint8 (N, H, W, 3), labels int64 (N,), names, coarse labels."""

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    coarse_labels: np.ndarray | None
    superclasses: tuple[str, ...] | None


def with_superclasses(images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> Pictures:
    """Add the 20 superclasses if the classes are CIFAR-100's, else None."""
    if classes != cifar100.CLASSES:
        return Pictures(images, labels, classes, None, None)
    superclasses = tuple(sorted(cifar100.SUPERCLASSES))
    coarse_of = np.array([superclasses.index(cifar100.SUPERCLASS_OF[name]) for name in classes])
    return Pictures(images, labels, classes, coarse_of[labels], superclasses)


def official_folder(root: Path) -> Path | None:
    """Return the folder below `root` that holds, or should hold, the three official files."""
    below = root / OFFICIAL_FOLDER
    return below if below.is_dir() else root if any((root / name).is_file() for name in cifar100.FILE_MD5) else None


def read_official(folder: Path, split: str) -> Pictures:
    """Read one split of the official files; a pickle is opened only after its MD5 is right."""
    content = {}
    for name in (split, "meta"):
        path, expected = folder / name, cifar100.FILE_MD5[name]
        if not path.is_file():
            raise ValueError(f"{path} is missing: expected the official files train, test and meta")
        data = path.read_bytes()
        if (digest := file_digest(io.BytesIO(data))) != expected:
            raise ValueError(f"{path} is damaged: got MD5 {digest}, expected {expected}; delete it or copy it anew")
        content[name] = pickle.loads(data, encoding="latin1")
    pictures, names = content[split], content["meta"]
    images = torch.from_numpy(pictures["data"]).view(-1, 3, 32, 32).permute(0, 2, 3, 1)  # torch uses all cores
    fine, coarse = (np.array(pictures[f"{kind}_labels"], dtype=np.int64) for kind in ("fine", "coarse"))
    classes, superclasses = (tuple(names[f"{kind}_label_names"]) for kind in ("fine", "coarse"))
    return Pictures(images.contiguous().numpy(), fine, classes, coarse, superclasses)


def unpack_archive(archive: Path, root: Path) -> Path:
    """Unpack the official archive into `root`, checked by MD5, and return the folder with the files."""
    if (digest := file_digest(archive)) != cifar100.ARCHIVE_MD5:
        raise ValueError(f"{archive} is damaged: got MD5 {digest}, expected {cifar100.ARCHIVE_MD5}")
    with tempfile.TemporaryDirectory(dir=root) as temporary, tarfile.open(archive) as tar:
        tar.extractall(temporary, filter="data")
        return (Path(temporary) / OFFICIAL_FOLDER).rename(root / OFFICIAL_FOLDER)


def download_official(root: Path, split: str, *, patient: bool = True) -> Pictures:
    """Fetch the official archive into `root`, whole or not at all, and read one split of it.

    Raises ConnectionError if the transfer breaks, stalls or brings something else, and, if not `patient`,
    if it is slower than SLOW_BYTES a second.
    """
    pooch.get_logger().setLevel("ERROR")
    host, md5 = cifar100.ARCHIVE_URL.removesuffix(ARCHIVE), cifar100.ARCHIVE_MD5
    store = pooch.create(ensure_folder(root), host, registry={ARCHIVE: f"md5:{md5}"}, retry_if_failed=1)
    bar = progress_bar(total=1, unit="B", unit_scale=True, desc=ARCHIVE)  # pooch sets the true total
    start, update = time.monotonic(), bar.update

    def watched(n: int) -> None:
        update(n)
        seconds = time.monotonic() - start
        if not patient and seconds > STALL_SECONDS and bar.n < SLOW_BYTES * seconds:
            raise ConnectionError(f"{bar.n / seconds / 1000:.0f} kB/s is too slow")

    bar.update = watched
    try:
        with bar:
            store.fetch(ARCHIVE, downloader=pooch.HTTPDownloader(progressbar=bar, timeout=STALL_SECONDS))
    except (OSError, ValueError) as error:  # the transfer broke off, or its MD5 is wrong
        raise ConnectionError(f"could not download {cifar100.ARCHIVE_URL}: {error}") from None
    return read_official(unpack_archive(root / ARCHIVE, root), split)


def read_hub(split: str) -> Pictures:
    """Read one split from the Hugging Face hub's parquet copy; needs pyarrow. Raises ConnectionError."""
    try:
        import pyarrow.parquet
        from huggingface_hub import hf_hub_download

        name = f"cifar100/{split}-00000-of-00001.parquet"
        path = hf_hub_download(cifar100.HUB_REPOSITORY, name, repo_type="dataset", endpoint=cifar100.HUB_URL)
    except ImportError:
        raise ConnectionError("the hub's copy needs pyarrow: pip install pyarrow") from None
    except Exception as error:  # the hub's client raises a dozen kinds, all of them "not to be had"
        raise ConnectionError(f"could not download {cifar100.HUB_REPOSITORY}: {error}") from None
    table = pyarrow.parquet.read_table(path, columns=["img", "fine_label"]).to_pydict()
    images = np.stack([np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB")) for row in table["img"]])
    return with_superclasses(images, np.array(table["fine_label"], dtype=np.int64), cifar100.CLASSES)


def is_folder_tree(root: Path) -> bool:
    """Say whether `root` looks like train/<class>/…, test/<class>/…"""
    return (root / "train").is_dir() or (root / "test").is_dir()


def read_folder(root: Path, split: str, *, side: int = 32) -> Pictures:
    """Read pictures of any size from root/split/<class>/*, squared to `side` pixels.

    The classes are the folders of train/, in alphabetical order. Raises ValueError for a missing split,
    fewer than two classes, an unknown class or a file that is no picture.
    """
    for name in ("train", "test"):
        if not (root / name).is_dir():
            raise ValueError(f"{root} has no folder {name}/: expected train/<class>/… and test/<class>/…")
    classes = tuple(path.name for path in _visible(root / "train") if path.is_dir())
    if len(classes) < 2:
        raise ValueError(f"{root / 'train'} holds {len(classes)} class folder(s), expected two or more")
    folders = [path for path in _visible(root / split) if path.is_dir()]
    for folder in folders:
        if folder.name not in classes:
            raise ValueError(f"{folder} is a class that train/ lacks, expected one of {', '.join(classes[:8])}")
    files = [(path, classes.index(folder.name)) for folder in folders for path in _visible(folder)]
    if not files:
        raise ValueError(f"{root / split} holds no pictures")
    with ThreadPoolExecutor() as pool:
        images = np.stack(list(pool.map(lambda item: read_picture(item[0], side), files)))
    return with_superclasses(images, np.array([label for _, label in files], dtype=np.int64), classes)


def read_picture(path: str | Path, side: int = 32) -> np.ndarray:
    """Return one picture file as uint8 (side, side, 3): the middle square, resized; any colour mode."""
    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read {path} as a picture: {error}") from None
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 and 32 bit grey
        grey = np.asarray(picture, dtype=np.float64)
        picture = Image.fromarray((grey * (255 / max(255, 65535 * (grey.max() > 255)))).clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB")
    square = min(picture.size)
    left, top = ((length - square) // 2 for length in picture.size)
    box = (left, top, left + square, top + square)
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=box))


def _visible(folder: Path) -> list[Path]:
    paths = sorted(folder.iterdir())
    return [path for path in paths if not path.name.startswith(".") and path.name.lower() not in NOT_PICTURES]
