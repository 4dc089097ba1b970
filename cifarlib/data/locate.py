"""Which pictures are taken: those of the place that was named, else the nearest."""

import difflib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..utils.errors import unknown
from ..utils.files import expanded, user_folder
from ..utils.online import hub_endpoint, silent, silent_hub
from . import facts, folder, hub, official, standin
from .arrays import Pictures

VARIABLE = "CIFARLIB_DATA"
SOURCES = ("auto", "official", "folder", "hub", "stand-in")
EXPECTED = "expected cifar-100-python/ or its archive, or train/<class>/… and test/<class>/…"
ADVICE = (
    "to use CIFAR-100, put cifar-100-python/ into data/ or into the folder that CIFARLIB_DATA names"
)


class Found(NamedTuple):
    """Pictures, the source's name and why it was taken."""

    pictures: Pictures
    source: str
    reason: str


@dataclass(frozen=True)
class Place:
    """The folder in which pictures are looked for, and what named it: "" for the default one."""

    folder: Path
    named_by: str = ""  # "CIFARLIB_DATA", or "the root asked for"

    @property
    def holds_own_pictures(self) -> bool:
        """Whether pictures of one's own are there: train/ or test/."""
        return folder.holds_pictures(self.folder)


def data_place(root: str | Path | None = None) -> Place:
    """Return where pictures are looked for: `root`, else CIFARLIB_DATA, else data/.

    Raises ValueError for a file, or the home of a user who has none.
    """
    if root is not None:
        place = Place(expanded(root), "the root asked for")
    elif os.environ.get(VARIABLE):
        place = Place(user_folder(VARIABLE, "data"), VARIABLE)
    else:
        place = Place(user_folder(VARIABLE, "data"))
    if place.folder.exists() and not place.folder.is_dir():
        raise ValueError(f"{place.folder} is a file: {EXPECTED}, in a folder")
    return place


def data_in_words(root: str | Path | None = None) -> str:
    """Return which pictures would be taken, in one line, without reading or downloading them.

    Raises ValueError where a place was named and holds none.
    """
    place = data_place(root)
    counts = count_own_pictures(root)
    if counts:
        return (
            f"your own pictures in {place.folder}: {counts['train']:,} to learn from,"
            f" {counts['test']:,} to test"
        )
    if official.find_official(place.folder):
        return f"CIFAR-100, the official files in {place.folder}"
    if place.named_by:
        raise _nothing_in(place)
    if _in_hub_cache():
        return "CIFAR-100, as downloaded from the hub before"
    return "CIFAR-100, to be downloaded; where no host answers, a generated stand-in"


def is_at_hand(root: str | Path | None = None) -> bool:
    """Say whether pictures are in the data folder, so that nothing needs to be downloaded."""
    place = data_place(root)
    return place.holds_own_pictures or official.find_official(place.folder) is not None


def count_own_pictures(root: str | Path | None = None) -> dict[str, int] | None:
    """Return how many pictures of one's own each split has, or None where there are none."""
    place = data_place(root)
    if not place.holds_own_pictures:
        return None
    return {split: folder.count_pictures(place.folder, split) for split in facts.SPLITS}


def find_pictures(split: str, place: Place, source: str, side: int) -> Found:
    """Return one split from the source asked for, for "auto" from the nearest.

    Raises ValueError for an unknown source, for what is there but damaged, and where a place was
    named and holds no pictures; ConnectionError where a source asked for by name cannot be reached.
    """
    if source not in SOURCES:
        raise unknown("source", source, SOURCES)
    if source == "auto":
        return _nearest(split, place, side)
    if source == "stand-in":
        return Found(standin.generate(split), "stand-in", "generated, as asked")
    if source == "folder":
        return _own_pictures(split, place.folder, side)
    try:
        if source == "hub":
            return _cached_hub(split) or _download_hub(split)
        return _official(split, place.folder) or _download_official(
            split, place.folder, patient=True
        )
    except ConnectionError as error:
        raise ConnectionError(
            f"CIFAR-100 is not in {place.folder} and cannot be downloaded: {error}"
        ) from None


def _nearest(split: str, place: Place, side: int) -> Found:
    """Take what is in the folder; where none was named, else what can be had, else the stand-in."""
    if place.holds_own_pictures:
        return _own_pictures(split, place.folder, side)
    found = _official(split, place.folder)
    if found:
        return found
    if place.named_by:
        raise _nothing_in(place)
    found = _cached_hub(split)
    if found:
        return found
    failures = []
    try:
        # a slow official host is given up only where the hub can take its place
        return _download_official(split, place.folder, patient=not _hub_can_serve())
    except ConnectionError as error:
        failures.append(str(error))
    try:
        return _download_hub(split)
    except ConnectionError as error:
        failures.append(str(error))
    if place.folder.exists():
        failures.append(f"found in {place.folder}: {folder.listed(place.folder)}")
    reason = f"generated, for none could be had ({'; '.join(failures)}); {ADVICE}"
    return Found(standin.generate(split), "stand-in", reason)


# --- one function a source ------------------------------------------------------------------------


def _own_pictures(split: str, root: Path, side: int) -> Found:
    pictures = folder.read_folder(root, split, side=side)
    reason = f"the pictures in {root}"
    if pictures.whites is not None:
        reason += f"; {pictures.whites.told}"
    seen = set(pictures.labels.tolist())
    unseen = [name for label, name in enumerate(pictures.classes) if label not in seen]
    if unseen:
        reason += f", none of them of {', '.join(unseen[:6])}"
    return Found(pictures, "folder", reason)


def _official(split: str, root: Path) -> Found | None:
    place = official.find_official(root)
    if place is None:
        return None
    pictures = official.read_official(place, split)
    return Found(pictures, "official", "the official files, MD5 verified")


def _download_official(split: str, root: Path, *, patient: bool) -> Found:
    host = _host(facts.ARCHIVE_URL)
    why = silent(facts.ARCHIVE_URL)
    if why:
        raise ConnectionError(f"{host}: {why}")
    try:
        pictures = official.download_official(root, split, patient=patient)
    except ConnectionError as error:
        raise ConnectionError(f"{host}: {error}") from None
    return Found(pictures, "official", f"downloaded from {host}")


def _cached_hub(split: str) -> Found | None:
    path = hub.cached_hub_file(split)
    if path is None or not _has_pyarrow():
        return None
    return Found(hub.read_hub_file(path), "hub", "downloaded from the hub before")


def _download_hub(split: str) -> Found:
    host = _host(hub_endpoint())
    why = silent_hub()
    if why:
        raise ConnectionError(f"{host}: {why}")
    try:
        pictures = hub.read_hub_file(hub.download_hub_file(split))
    except ConnectionError as error:
        raise ConnectionError(f"{host}: {error}") from None
    return Found(pictures, "hub", f"downloaded from {host}")


def _host(url: str) -> str:
    return url.split("/")[2]


def _in_hub_cache() -> bool:
    return _has_pyarrow() and all(hub.cached_hub_file(split) for split in facts.SPLITS)


def _hub_can_serve() -> bool:
    return _has_pyarrow() and not silent_hub()


def _has_pyarrow() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


# --- a named place that holds none ----------------------------------------------------------------


def _nothing_in(place: Place) -> ValueError:
    """Return the error for a named place without pictures: what was looked for, what was found."""
    near = _nearest_place(place.folder)
    hint = ""
    if near:
        hint = f"; did you mean {near}?"
    elif not place.folder.is_dir() or not folder.visible(place.folder):
        hint = f"; `data --root {place.folder} --source official` downloads CIFAR-100 into it"
    found = folder.listed(place.folder)
    return ValueError(f"{place.named_by} is {place.folder}: {EXPECTED}; found {found}{hint}")


def _nearest_place(root: Path) -> str:
    """Return where pictures are, or what a folder should be called, or "" where nothing is near."""
    if not root.is_dir():
        siblings = []
        if root.parent.is_dir():
            siblings = [path.name for path in folder.visible(root.parent) if path.is_dir()]
        near = difflib.get_close_matches(root.name, siblings, n=1)
        if near:
            return str(root.parent / near[0])
        return ""
    inside = [path for path in folder.visible(root) if path.is_dir()]
    for path in [*inside, root.parent]:
        if _holds_any(path):
            return str(path)
    for path in inside:
        if path.name.lower() in facts.SPLITS:
            return str(path.with_name(path.name.lower()))
    return ""


def _holds_any(path: Path) -> bool:
    """Say whether a folder looks like one that pictures can be read from."""
    files = [path / official.OFFICIAL_FOLDER, path / official.ARCHIVE]
    files += [path / name for name in facts.FILE_MD5 if name not in facts.COUNTS]
    return all((path / split).exists() for split in facts.SPLITS) or any(
        file.exists() for file in files
    )
