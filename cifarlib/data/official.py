"""The official files of CIFAR-100: in a folder, in their archive, or from their host."""

import contextlib
import io
import os
import pickle
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import torch

from ..utils.files import (
    clear_left_overs,
    ensure_folder,
    file_digest,
    raise_if_disk_is_full,
    temporary_name,
)
from ..utils.online import host_of, silent
from ..utils.progress import progress_bar
from . import facts
from .arrays import Pictures, with_superclasses

OFFICIAL_FOLDER = "cifar-100-python"
ARCHIVE = "cifar-100-python.tar.gz"
STALL_SECONDS = 4  # without a byte; it is tried twice
WATCHED_SECONDS = 8  # before a host can be called slow
SLOW_BYTES = 300_000  # a second; readers report 70 kB/s at times
DEAD_BYTES = 10_000  # a second: at which it would take five hours


def find_official(root: Path) -> Path | None:
    """Return the folder in `root` with the official files, else their archive, or None.

    An archive is unpacked beside itself where that can be written; what earlier attempts left
    there is removed. Raises ValueError for an archive whose MD5 is not the official one.
    """
    clear_left_overs(root)
    folder = root / OFFICIAL_FOLDER
    if folder.is_dir():
        return folder
    if any((root / name).is_file() for name in facts.FILE_MD5):
        return root
    archive = root / ARCHIVE
    if not archive.is_file():
        return None
    digest = file_digest(archive)
    if digest != facts.ARCHIVE_MD5:
        raise ValueError(f"{archive} is damaged: got MD5 {digest}, expected {facts.ARCHIVE_MD5}")
    # a folder that is read-only, or a full disk: the archive itself will do
    with contextlib.suppress(OSError):
        _unpack(archive, folder)
        return folder
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the official archive to `folder`, whole or not at all."""
    with _workshop(folder) as workshop:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(workshop)
        # another process may have been first: its files are checked when they are read
        with contextlib.suppress(OSError):
            (workshop / OFFICIAL_FOLDER).rename(folder)


@contextlib.contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    """Yield a folder beside `target` for what is not yet whole, and remove it at the end.

    That of a process that was killed is removed by the next one.
    """
    workshop = temporary_name(target)
    workshop.mkdir()
    try:
        yield workshop
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def read_official(place: Path, split: str) -> Pictures:
    """Read one split of the official files in a folder or in their archive.

    The pickle is opened only after its MD5 is right, for opening a pickle can run any code. Raises
    ValueError for a file that is missing or damaged.
    """
    for name in ("meta", split):
        data = _bytes_of(place, name)
        digest = file_digest(io.BytesIO(data))
        expected = facts.FILE_MD5[name]
        if digest != expected:
            raise ValueError(
                f"{place / name} is damaged: got MD5 {digest}, expected {expected};"
                " delete it or copy it anew"
            )
    pictures = pickle.loads(data, encoding="latin1")
    # rows of 3,072 bytes, channel by channel; torch turns them with all cores
    planes = torch.from_numpy(pictures["data"]).view(-1, 3, 32, 32)
    images = planes.permute(0, 2, 3, 1).contiguous().numpy()
    return with_superclasses(images, pictures["fine_labels"], facts.CLASSES)


def _bytes_of(place: Path, name: str) -> bytes:
    """Return an official file's bytes, from a folder or from the archive."""
    if place.is_file():
        with tarfile.open(place) as tar:
            member = tar.extractfile(f"{OFFICIAL_FOLDER}/{name}")
            assert member is not None  # the archive's MD5 is right
            return member.read()
    path = place / name
    if not path.is_file():
        raise ValueError(f"{path} is missing: expected the official files train, test and meta")
    return path.read_bytes()


def download_official(root: Path, split: str, *, patient: bool = True) -> Pictures:
    """Fetch the official archive into `root`, whole or not at all, and read a split.

    A host that sends nothing for STALL_SECONDS is given up at the second try, one that is slower
    than SLOW_BYTES a second, or if `patient` than DEAD_BYTES, after WATCHED_SECONDS. Raises
    ConnectionError for these, and OSError for a full disk.
    """
    host = host_of(facts.ARCHIVE_URL)
    why = silent(facts.ARCHIVE_URL)
    if why:
        raise ConnectionError(f"{host}: {why}")
    import pooch  # only where something is downloaded

    pooch.get_logger().setLevel("ERROR")
    archive = ensure_folder(root) / ARCHIVE
    with _workshop(archive) as workshop:
        store = pooch.create(
            workshop,
            facts.ARCHIVE_URL.removesuffix(ARCHIVE),
            registry={ARCHIVE: f"md5:{facts.ARCHIVE_MD5}"},
            retry_if_failed=1,
        )
        # pooch sets the bar's true total
        with progress_bar(total=1, unit="B", unit_scale=True, desc=ARCHIVE) as bar:
            _give_up_when_slow(bar, DEAD_BYTES if patient else SLOW_BYTES)
            downloader = pooch.HTTPDownloader(progressbar=bar, timeout=STALL_SECONDS)
            try:
                store.fetch(ARCHIVE, downloader=downloader)
            except (OSError, ValueError) as error:  # the transfer broke off, or its MD5 is wrong
                raise_if_disk_is_full(error, archive)
                raise ConnectionError(
                    f"{host}: could not download {facts.ARCHIVE_URL}: {error}"
                ) from None
        os.replace(workshop / ARCHIVE, archive)
    place = find_official(root)
    assert place is not None  # the archive is there
    return read_official(place, split)


def _give_up_when_slow(bar, slowest: int) -> None:
    """Let a download's bar raise ConnectionError once the host sends fewer bytes a second."""
    update = bar.update

    def watched(n: int) -> None:
        update(n)
        seconds = bar.format_dict["elapsed"]
        if seconds > WATCHED_SECONDS and bar.n < slowest * seconds:
            raise ConnectionError(f"{bar.n / seconds / 1000:.0f} kB/s is too slow")

    bar.update = watched
