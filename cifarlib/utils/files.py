"""Where the project keeps its files, and how it writes them: whole or not at all."""

import contextlib
import errno
import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BufferedReader, BytesIO
from pathlib import Path

import psutil

from .errors import last_line

PACKAGE = Path(__file__).resolve().parent.parent
DAY = 24 * 60 * 60  # seconds
# what the system says where nothing more can be written
DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def repository_root() -> Path:
    """Return the clone that holds the package, else the working folder: for one to write into.

    A clone that is read-only, such as a data set on Kaggle, is passed over.
    """
    clone = PACKAGE.parent
    if (clone / "pyproject.toml").exists() and os.access(clone, os.W_OK):
        return clone
    return Path.cwd()


def expanded(path: str | Path) -> Path:
    """Return a path with ~ written out; ValueError for none, or where that user has no home."""
    if str(path) == "":
        raise ValueError("got an empty name, expected a folder's")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"got folder {path}: {error}") from None


def named_folder(variable: str) -> Path | None:
    """Return the folder that an environment variable names, or None where it is not set.

    A relative name is looked up from the working folder, then from the repository root, for
    notebooks run below it. Raises ValueError for the home of a user who has none.
    """
    name = os.environ.get(variable)
    if not name:
        return None
    path = expanded(name)
    if not path.exists():
        path = repository_root() / path
    return path.resolve()


def user_folder(variable: str, default: str) -> Path:
    """Return the folder an environment variable names, else `default` below the repository root."""
    named = named_folder(variable)
    # one who sets the default means the repository's, though the working folder may hold one too
    if named is None or os.environ[variable] == default:
        return (repository_root() / default).resolve()
    return named


def ensure_folder(folder: Path) -> Path:
    """Create `folder` and prove that it can be written to; raises ValueError in one line if not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # the permissions do not tell it all: a read-only disk shows only when it is written to
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"cannot write to folder {folder}: {error.strerror or error}") from None
    return folder


def raise_if_disk_is_full(error: BaseException, what: str | Path) -> None:
    """Raise OSError for `what` if an error, or one it was raised from, tells of a full disk.

    A library's error for a download can be one: no other source mends that.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in DISK_IS_FULL:
            raise OSError(f"cannot write {what}: {last_line(error)}") from None
        cause = cause.__cause__ or cause.__context__


def temporary_name(path: Path) -> Path:
    """Return the hidden name beside `path` under which this process writes it."""
    return path.with_name(f".{path.name}.{os.getpid()}@{platform.node()}.tmp")


def clear_left_overs(folder: Path) -> None:
    """Remove what processes that were killed left in `folder` under their temporary names.

    Where the folder is read-only they stay.
    """
    for path in folder.glob(".*@*.tmp"):
        with contextlib.suppress(OSError):
            if not _is_left_over(path):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _is_left_over(path: Path) -> bool:
    """Return whether nobody writes at a temporary name any more: see temporary_name."""
    before, _, node = path.name.removesuffix(".tmp").rpartition("@")
    pid = before.rpartition(".")[2]
    if node == platform.node() and pid.isdigit():
        return not psutil.pid_exists(int(pid))
    # another machine's process cannot be asked whether it lives
    return time.time() - path.stat().st_mtime > DAY


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that becomes `path` only if the block succeeds.

    Raises OSError that names the file, for a full disk say.
    """
    path = Path(path)
    temporary = temporary_name(path)
    try:
        yield temporary
        # the content must be on the disk before the name is, or a power cut leaves an empty file
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        kept = ""
        if path.exists():
            kept = "; the one before it is kept"
        raise OSError(f"cannot write {path}: {error.strerror or error}{kept}") from None
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    """Write `content` to a file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | Path, content: object) -> None:
    """Write `content` as UTF-8 JSON, atomically; keys keep their order."""
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def file_digest(
    file: str | Path | BufferedReader | BytesIO,
    digest: Callable = hashlib.md5,
) -> str:
    """Return the hex digest of the bytes of an open file or of the one at a path."""
    if not isinstance(file, str | Path):
        return hashlib.file_digest(file, digest).hexdigest()
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, digest).hexdigest()
