"""Pictures of one's own: train/<class>/* and test/<class>/*, of any size and colour mode."""

import functools
import hashlib
import os
import unicodedata
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

from ..utils.errors import first_line, unknown
from . import facts
from .arrays import Pictures, Whites, with_superclasses

# what systems leave among pictures, besides what begins with a point
NOT_PICTURES = {
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
    "__macosx",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
}
PHOTOMETRIC = 262  # TIFF's tag for what a level means: 0, white is nought
# EXIF's orientation -> what turns the picture upright
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# the levels that may be white in grey pictures of more than 8 bits: 2^bits - 1, or 1 for floats
WHITE_OF_INTEGERS = (255, 1023, 4095, 16383, 65535)
WHITE_OF_FLOATS = (1, 255, 65535)


# how a phone's HEIC file begins, from its fifth byte on
HEIF_MARKS = (b"ftypheic", b"ftypheix", b"ftypheim", b"ftypheis", b"ftyphevc", b"ftypmif1")
MOST_PIXELS = 64_000_000  # of one picture, a quarter of a gigabyte once it is unpacked


# --- what a folder holds --------------------------------------------------------------------------


def holds_pictures(root: Path) -> bool:
    """Return whether a folder holds pictures of one's own: train/ or test/."""
    return any((root / split).is_dir() for split in facts.SPLITS)


def count_pictures(root: Path, split: str) -> int:
    """Return how many pictures a split has, unread; raises ValueError as read_folder does."""
    _check_splits(root)
    return sum(len(paths) for paths in _paths_by_class(root, split).values())


def folder_state(root: Path) -> str:
    """Return a digest (hex) of the names, sizes and times of all pictures, unread."""
    digest = hashlib.sha256()
    for path in _all_paths(root):
        digest.update(os.fsencode(path))  # a name need not be Unicode
        if path.exists():  # a link may lead nowhere: whoever reads it says so
            status = path.stat()
            digest.update(f" {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def read_folder(root: Path, split: str, *, side: int = 32) -> Pictures:
    """Read pictures of any size from root/split/<class>/*, squared to `side` pixels.

    The classes are the folders of train/. Grey pictures of more than 8 bits are read on one scale
    for the whole data set: see white_levels. Raises ValueError for a missing split, too few
    classes, an unknown one or one without pictures, or a picture that cannot be read.
    """
    _check_splits(root)
    by_class = _paths_by_class(root, split)
    classes = tuple(_paths_by_class(root, "train"))
    paths: list[Path] = []
    labels = []
    for name, members in by_class.items():
        paths += members
        labels += [classes.index(name)] * len(members)
    if not paths:
        raise ValueError(f"{root / split} holds no pictures")
    with ThreadPoolExecutor() as pool:
        read = functools.partial(_read_square, side=side)
        squares = list(pool.map(read, paths))
    whites = None
    if any(square.dtype != np.uint8 for square in squares):
        whites = white_levels(_all_paths(root))
    images = [_as_bytes(square, whites) for square in squares]
    pictures = with_superclasses(np.stack(images), labels, classes)
    return pictures._replace(whites=whites)


def _check_splits(root: Path) -> None:
    for split in facts.SPLITS:
        if not (root / split).is_dir():
            raise ValueError(
                f"{root} has no folder {split}/: expected train/<class>/… and test/<class>/…,"
                f" found {listed(root)}"
            )


def listed(folder: Path, most: int = 6) -> str:
    """Return in words what a folder holds: "Test/, Train/, notes.txt"."""
    if not folder.exists():
        return "no such folder"
    names = []
    for path in visible(folder):
        mark = ""
        if path.is_dir():
            mark = "/"
        names.append(path.name + mark)
    if not names:
        return "nothing in it"
    shown = ", ".join(names[:most])
    if len(names) > most:
        shown += f" and {len(names) - most} more"
    return shown


def _paths_by_class(root: Path, split: str) -> dict[str, list[Path]]:
    """Return the files of each class, classes and files in the order of their names.

    Names that differ only in how Unicode writes them, as between a Mac and others, are one.
    """
    by_class = _class_folders(root / split)
    classes = by_class
    if split != "train":
        classes = _class_folders(root / "train")
    if len(classes) < 2:
        raise ValueError(
            f"{root / 'train'} holds {len(classes)} class folder(s), expected two or more"
        )
    strange = sorted(set(by_class) - set(classes))
    if strange:
        raise unknown(f"class in {root / split}", strange[0], classes)
    paths: dict[str, list[Path]] = {}
    for name in sorted(by_class):
        paths[name] = []
        for folder in by_class[name]:
            paths[name] += visible(folder)
        if split == "train" and not paths[name]:
            raise ValueError(f"{by_class[name][0]} holds no pictures, expected some of each class")
    return paths


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    """Return the folders in a folder by their names in Unicode's composed form.

    Raises ValueError for a picture beside them, or a link that leads nowhere.
    """
    folders: dict[str, list[Path]] = {}
    for path in visible(folder):
        if path.is_dir():
            folders.setdefault(unicodedata.normalize("NFC", path.name), []).append(path)
        elif not path.exists():
            raise ValueError(f"{path} is a link that leads nowhere")
        elif path.suffix.lower() in Image.registered_extensions():
            raise ValueError(f"{path} lies beside the class folders, expected within one")
    return folders


def _all_paths(root: Path) -> list[Path]:
    paths: list[Path] = []
    for split in facts.SPLITS:
        for members in _paths_by_class(root, split).values():
            paths += members
    return paths


def visible(folder: Path) -> list[Path]:
    """Return what a folder holds, in the order of the names, without hidden and systems' files."""
    found = []
    for path in folder.iterdir():
        if not path.name.startswith(".") and path.name.lower() not in NOT_PICTURES:
            found.append(path)
    return sorted(found, key=lambda path: path.name)  # paths themselves sort otherwise on Windows


# --- one picture ----------------------------------------------------------------------------------


def read_picture(
    file: str | Path | BinaryIO,
    side: int = 32,
    *,
    whites: Whites | None = None,
) -> np.ndarray:
    """Return one picture file as uint8 (side, side, 3): the middle square, resized.

    Any colour mode will do. whites: the white levels of the data set that deep grey is to be read
    like; by default, and for a kind that the set has none of, those of the file itself. Raises
    ValueError for a file that is no picture, a damaged one, or one with levels above that white.
    """
    square = _read_square(file, side=side)
    if square.dtype == np.uint8:
        return square
    own = white_levels([file])
    if whites is None:
        whites = own
    for kind in ("integers", "floats"):
        known = getattr(whites, kind)
        needed = getattr(own, kind)
        if known is None:
            whites = whites._replace(**{kind: needed})
        elif needed is not None and needed > known:
            raise ValueError(
                f"cannot read {file} as a picture: it has grey levels above {known},"
                " which is white in the pictures that were learned from"
            )
    return _as_bytes(square, whites)


def _open(file: str | Path | BinaryIO) -> Image.Image:
    """Return a picture upright and whole, in RGB, or in F or I where its grey has more than 8 bits.

    Raises ValueError that names the file.
    """
    if isinstance(file, str | Path) and not Path(file).is_file():
        raise ValueError(f"cannot read {file} as a picture: it is no file")
    try:
        if _is_heif(file):
            _let_pillow_read_heif()
        with Image.open(file) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"{picture.width}×{picture.height} pixels are too many")
            picture.load()
            # the orientation alone: other entries, such as a resolution of -1/0, can be senseless
            orientation = picture.getexif().get(ExifTags.Base.Orientation)
            upright: Image.Image = picture
            if orientation in UPRIGHT:  # a phone's photo may be stored lying down
                upright = picture.transpose(UPRIGHT[orientation])
            tags = getattr(picture, "tag_v2", {})  # a TIFF's
            return _in_known_mode(upright, white_is_nought=tags.get(PHOTOMETRIC) == 0)
    except Exception as error:  # a damaged file can raise any kind from within its format's reader
        raise ValueError(f"cannot read {file} as a picture: {first_line(error)}") from None


def _is_heif(file: str | Path | BinaryIO) -> bool:
    """Return whether a file is of the kind that phones store photos in."""
    if isinstance(file, str | Path):
        with open(file, "rb") as opened:
            return opened.read(12)[4:] in HEIF_MARKS
    start = file.read(12)
    file.seek(0)
    return start[4:] in HEIF_MARKS


def _let_pillow_read_heif() -> None:
    try:
        from pillow_heif import register_heif_opener  # optional
    except ImportError:
        raise ValueError("to read HEIC, pip install pillow-heif") from None
    register_heif_opener()


def _in_known_mode(picture: Image.Image, *, white_is_nought: bool) -> Image.Image:
    """Return a picture in RGB, what is transparent in white; deep grey stays: I or F."""
    is_deep = picture.mode.startswith(("F", "I"))  # 16 bits a pixel, or 32
    if is_deep and white_is_nought:  # Pillow turns such pictures round up to 8 bits only
        raise ValueError("its grey counts down from white, expected up from black")
    if picture.mode == "F":
        return picture
    if is_deep:
        return picture.convert("I")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    return picture.convert("RGB")


def _read_square(file: str | Path | BinaryIO, *, side: int) -> np.ndarray:
    """Return the middle square of a picture file, resized.

    uint8 (side, side, 3), or levels of deep grey as they are: int32 or float32 (side, side).
    """
    return _square_of(_open(file), side)


def squared(images: np.ndarray, side: int) -> np.ndarray:
    """Return images uint8 (N, H, W, 3) as uint8 (N, side, side, 3), as if read from files."""
    if images.shape[1:3] == (side, side):
        return images
    return np.stack([_square_of(Image.fromarray(image), side) for image in images])


def _square_of(picture: Image.Image, side: int) -> np.ndarray:
    """Return the middle square of a picture, resized to `side` pixels."""
    square = min(picture.size)
    left = (picture.width - square) // 2
    top = (picture.height - square) // 2
    small = picture.resize(
        (side, side),
        Image.Resampling.BILINEAR,
        box=(left, top, left + square, top + square),
    )
    return np.asarray(small)


def white_levels(files: Iterable[str | Path | BinaryIO]) -> Whites:
    """Return which level is white in all deep grey pictures among `files`.

    One rule by type and data set, so that a dark picture stays dark: white is the smallest of
    WHITE_OF_INTEGERS (or WHITE_OF_FLOATS) that no pixel of that type exceeds. Raises ValueError
    that names the first picture with a level below nought, above them all or not finite.
    """
    levels_by_mode: dict[str, list[tuple[float, str]]] = {"I": [], "F": []}
    for file in files:
        picture = _open(file)
        if picture.mode == "RGB":
            continue
        levels = np.asarray(picture)
        lowest, most = float(levels.min()), float(levels.max())
        if not (lowest >= 0 and most <= WHITE_OF_INTEGERS[-1]):  # no comparison holds for NaN
            raise ValueError(
                f"cannot read {file} as a picture: its grey levels are {lowest:g} to {most:g},"
                f" expected 0 to {WHITE_OF_INTEGERS[-1]}, or floats of 0 to 1"
            )
        levels_by_mode[picture.mode].append((most, Path(str(file)).name))
    integers, told_of_integers = _white(levels_by_mode["I"], WHITE_OF_INTEGERS)
    floats, told_of_floats = _white(levels_by_mode["F"], WHITE_OF_FLOATS)
    told = [words for words in (told_of_integers, told_of_floats) if words]
    return Whites(integers, floats, " and ".join(told))


def _white(levels: list[tuple[float, str]], whites: tuple[int, ...]) -> tuple[int | None, str]:
    """Return (white, in words) for the highest level of each picture and its name; None for none.

    One picture that is added can darken all others: it is named.
    """
    if not levels:
        return None, ""
    levels = sorted(levels)
    white = _smallest_white(whites, levels[-1][0])
    told = f"deep grey is read with {white:,} as white"
    if len(levels) > 1:
        without_the_brightest = _smallest_white(whites, levels[-2][0])
        if without_the_brightest < white:
            told += f", for {levels[-1][1]} alone (else {without_the_brightest:,})"
    return white, told


def _smallest_white(whites: tuple[int, ...], highest: float) -> int:
    return next(white for white in whites if white >= highest)


def _as_bytes(square: np.ndarray, whites: Whites | None) -> np.ndarray:
    """Return a square in RGB, uint8 (side, side, 3)."""
    if square.dtype == np.uint8:
        return square
    assert whites is not None  # of the set that it belongs to
    white = whites.integers
    if square.dtype == np.float32:
        white = whites.floats
    assert white is not None  # the set has a picture of this kind
    grey = np.round(square * (255 / white)).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
