"""Which pictures are taken and where they lie: the place that was named, else the nearest."""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..utils.errors import unknown
from ..utils.files import expanded, user_folder
from . import facts, folder, hub, official

VARIABLE = "CIFARLIB_DATA"
SOURCES = ("auto", "official", "folder", "hub", "stand-in")
EXPECTED = "expected cifar-100-python/ or its archive, or train/<class>/… and test/<class>/…"


class Located(NamedTuple):
    """Which source has a split, and where; nowhere: it is to be downloaded."""

    source: str  # "auto": whichever host has it
    path: Path | None


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
    if all(hub.cached_hub_file(split) for split in facts.SPLITS):
        return "CIFAR-100, as downloaded from the hub before"
    return "CIFAR-100, to be downloaded; where no host answers, a generated stand-in"


def is_at_hand(root: str | Path | None = None) -> bool:
    """Return whether pictures are in the data folder, so that nothing needs to be downloaded."""
    place = data_place(root)
    return place.holds_own_pictures or official.find_official(place.folder) is not None


def count_own_pictures(root: str | Path | None = None) -> dict[str, int] | None:
    """Return how many pictures of one's own each split has, or None where there are none."""
    place = data_place(root)
    if not place.holds_own_pictures:
        return None
    return {split: folder.count_pictures(place.folder, split) for split in facts.SPLITS}


def locate(split: str, place: Place, source: str = "auto") -> Located:
    """Return where a split is, in the source asked for, for "auto" in the nearest.

    Nothing is read or downloaded. Raises ValueError for an unknown source, for an archive that is
    there but damaged, and where a place was named and holds no pictures.
    """
    if source not in SOURCES:
        raise unknown("source", source, SOURCES)
    if source == "stand-in":
        return Located("stand-in", None)
    if source == "folder" or (source == "auto" and place.holds_own_pictures):
        return Located("folder", place.folder)
    if source in ("auto", "official"):
        path = official.find_official(place.folder)
        if path or source == "official":
            return Located("official", path)
    if source == "auto" and place.named_by:
        raise _nothing_in(place)
    path = hub.cached_hub_file(split)
    if path or source == "hub":
        return Located("hub", path)
    return Located("auto", None)


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
    """Return whether a folder looks like one that pictures can be read from."""
    files = [path / official.OFFICIAL_FOLDER, path / official.ARCHIVE]
    files += [path / name for name in facts.FILE_MD5 if name not in facts.COUNTS]
    return all((path / split).exists() for split in facts.SPLITS) or any(
        file.exists() for file in files
    )
