"""One split from its source: read by the one reader of its kind, or downloaded."""

from pathlib import Path
from typing import NamedTuple

from ..utils.online import host_of
from . import facts
from .arrays import Pictures
from .folder import listed, read_folder
from .hub import download_hub_file, hub_can_serve, hub_host, read_hub_file
from .locate import Place, locate
from .official import download_official, read_official
from .standin import generate

ADVICE = (
    "to use CIFAR-100, put cifar-100-python/ into data/ or into the folder that CIFARLIB_DATA names"
)


class Found(NamedTuple):
    """Pictures, the source's name and why it was taken."""

    pictures: Pictures
    source: str
    reason: str


def read(split: str, place: Place, source: str, side: int) -> Found:
    """Return one split as its source has it; it is downloaded where it is nowhere.

    Raises ConnectionError where a source that was asked for by name cannot be reached.
    """
    there = locate(split, place, source)
    if there.source == "stand-in":
        return Found(generate(split), "stand-in", "generated, as asked")
    if there.path is None:
        return _download(split, place, there.source)
    if there.source == "official":
        pictures = read_official(there.path, split)
        return Found(pictures, "official", "the official files, MD5 verified")
    if there.source == "hub":
        pictures = read_hub_file(there.path)
        return Found(pictures, "hub", "downloaded from the hub before")
    pictures = read_folder(there.path, split, side=side)
    return Found(pictures, "folder", _own_in_words(pictures, there.path))


def _own_in_words(pictures: Pictures, root: Path) -> str:
    """Return what to say of images of one's own: where they are, white levels, empty classes."""
    said = f"the pictures in {root}"
    if pictures.whites is not None:
        said += f"; {pictures.whites.told}"
    seen = set(pictures.labels.tolist())
    unseen = [name for label, name in enumerate(pictures.classes) if label not in seen]
    if unseen:
        said += f", none of them of {', '.join(unseen[:6])}"
    return said


def _download(split: str, place: Place, source: str) -> Found:
    """Return a split from the host asked for; for "auto" from either, else the stand-in."""
    if source != "auto":
        try:
            return _from_host(split, place, source, patient=True)
        except ConnectionError as error:
            raise ConnectionError(
                f"CIFAR-100 is not in {place.folder} and cannot be downloaded: {error}"
            ) from None
    failures = []
    for host in ("official", "hub"):
        try:
            # a slow official host is given up only where the hub can take its place
            return _from_host(split, place, host, patient=not hub_can_serve())
        except ConnectionError as error:
            failures.append(str(error))
    if place.folder.exists():
        failures.append(f"found in {place.folder}: {listed(place.folder)}")
    reason = f"generated, for none could be had ({'; '.join(failures)}); {ADVICE}"
    return Found(generate(split), "stand-in", reason)


def _from_host(split: str, place: Place, source: str, *, patient: bool) -> Found:
    if source == "official":
        pictures = download_official(place.folder, split, patient=patient)
        host = host_of(facts.ARCHIVE_URL)
    else:
        pictures = read_hub_file(download_hub_file(split))
        host = hub_host()
    return Found(pictures, source, f"downloaded from {host}")
