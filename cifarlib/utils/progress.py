"""What the one who waits is told: one plain progress bar, and lines beside it."""

import io
import sys
from typing import Any, TextIO

from tqdm import tqdm

SHAPE = "{desc}: {percentage:3.0f}%|{bar:12}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


def progress_bar(**options: Any) -> tqdm:
    """Return a tqdm bar, to standard output in a notebook and to standard error elsewhere."""
    return tqdm(file=_stream(), bar_format=SHAPE, mininterval=0.5, **options)


def say(line: str) -> None:
    """Print a line where the bars are drawn, above those."""
    tqdm.write(line, file=_stream())


def in_notebook() -> bool:
    """Return whether this is a notebook's kernel, which shows figures."""
    return type(sys.stdout).__module__.startswith("ipykernel")


def _stream() -> TextIO:
    # a notebook shows standard error as an alarm
    if in_notebook():
        return sys.stdout
    return sys.stderr or io.StringIO()  # a closed one is None
