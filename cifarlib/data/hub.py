"""The hub: CIFAR-100 as parquet files, and where its client has downloaded them before."""

import functools
import importlib.util
import io
from pathlib import Path

import numpy as np
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from PIL import Image

from ..utils.errors import last_line
from ..utils.files import raise_if_disk_is_full
from ..utils.online import host_of, hub_endpoint, silent_hub, within
from . import facts
from .arrays import Pictures, with_superclasses
from .official import STALL_SECONDS

MOST_HUB_SECONDS = 600  # for the hub's whole attempt, which its client alone watches


def cached_hub_file(split: str) -> Path | None:
    """Return the hub's parquet file where its client has downloaded it before, else None.

    None too where pyarrow, which reads it, is not installed.
    """
    if not _has_pyarrow():
        return None
    path = try_to_load_from_cache(facts.HUB_REPOSITORY, _parquet(split), repo_type="dataset")
    # None where it was never asked for, a mark where the hub was found to lack it
    if not isinstance(path, str):
        return None
    return Path(path)


def download_hub_file(split: str) -> Path:
    """Fetch the hub's parquet file into its client's cache.

    Raises ConnectionError that names the host where it is not to be had within MOST_HUB_SECONDS,
    OSError for a full disk.
    """
    why = silent_hub()
    if why:
        raise ConnectionError(f"{hub_host()}: {why}")
    fetch = functools.partial(
        hf_hub_download,
        facts.HUB_REPOSITORY,
        _parquet(split),
        repo_type="dataset",
        endpoint=hub_endpoint(),
        etag_timeout=STALL_SECONDS,
    )
    try:
        path = within(MOST_HUB_SECONDS, fetch)
    except Exception as error:  # the hub's client raises a dozen kinds, all of them "not to be had"
        raise_if_disk_is_full(error, facts.HUB_REPOSITORY)
        raise ConnectionError(
            f"{hub_host()}: could not download {facts.HUB_REPOSITORY}: {last_line(error)}"
        ) from None
    return Path(path)


def read_hub_file(path: Path) -> Pictures:
    """Read one split of the hub's parquet copy; needs pyarrow.

    Raises ConnectionError where that is not installed, ValueError for a damaged file.
    """
    try:
        import pyarrow.parquet  # optional
    except ImportError:
        raise ConnectionError(
            f"{hub_host()}: could not read {facts.HUB_REPOSITORY}: pip install pyarrow"
        ) from None
    try:
        table = pyarrow.parquet.read_table(path, columns=["img", "fine_label"]).to_pydict()
        images = [_from_png(row["bytes"]) for row in table["img"]]
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        raise ValueError(f"{path} is damaged ({last_line(error)}): delete it") from None
    return with_superclasses(np.stack(images), table["fine_label"], facts.CLASSES)


def hub_can_serve() -> bool:
    """Return whether the hub answers, and what it sends can be read."""
    return _has_pyarrow() and not silent_hub()


def hub_host() -> str:
    """Return the hub's host."""
    return host_of(hub_endpoint())


def _has_pyarrow() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


def _parquet(split: str) -> str:
    return f"cifar100/{split}-00000-of-00001.parquet"


def _from_png(data: bytes) -> np.ndarray:
    """Return a picture of the hub's, uint8 (32, 32, 3)."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))
