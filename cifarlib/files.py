"""Where the project keeps its files, and how it writes them: whole or not at all."""

import difflib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

PACKAGE = Path(__file__).resolve().parent


def repository_root() -> Path:
    """Return the clone that holds the package, or the working folder where there is none."""
    return PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").exists() else Path.cwd()


def user_folder(variable: str, default: str | None = None) -> Path | None:
    """Return the folder an environment variable names, else `default` below the repository root.

    A relative name is looked up from the working folder, then from the repository root: notebooks run below it.
    """
    named = os.environ.get(variable) or default
    if not named:
        return None
    path = Path(named).expanduser()
    return (repository_root() / path if named == default or not path.exists() else path).resolve()


def unknown(kind: str, got: object, known: Iterable[str]) -> ValueError:
    """Return the error for a name that is not `known`: what was got, the nearest, and what there is."""
    known = list(known)
    lowered = {name.lower(): name for name in reversed(known)}  # the first of two alike wins
    near = difflib.get_close_matches(str(got).lower(), lowered, n=1, cutoff=0.5)
    hint = f"did you mean {lowered[near[0]]!r}? " if near else ""
    shown = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    return ValueError(f"unknown {kind} {got!r}: {hint}expected one of {shown}")


def ensure_folder(folder: Path) -> Path:
    """Create `folder` and prove that it can be written to; raises ValueError in one line if not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"cannot write to folder {folder}: {error.strerror or error}") from None
    return folder


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that becomes `path` only if the block succeeds; names it in an OSError."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        kept = "; the one before it is kept" if path.exists() else ""
        raise OSError(f"cannot write {path}: {error.strerror or error}{kept}") from None
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content: object) -> None:
    """Write `content` as UTF-8 JSON, atomically; keys keep their order."""
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def file_digest(file: str | Path | BinaryIO, digest: Callable = hashlib.md5) -> str:
    """Return the hex digest of the bytes of an open file or of the one at a path."""
    with open(file, "rb") if isinstance(file, str | Path) else nullcontext(file) as opened:
        return hashlib.file_digest(opened, digest).hexdigest()
