"""Errors in words that help: what was got, what was expected, the nearest valid name."""

import difflib
from collections.abc import Iterable

MOST_NAMES = 8  # a message lists no more names than these
# how a plain RuntimeError says that there is too little memory, on the CPU or an accelerator
NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "bad_alloc")


def unknown(kind: str, got: object, known: Iterable[str]) -> ValueError:
    """Return the error for a name that is not `known`: it tells the nearest and what there is."""
    names = list(known)
    lowered: dict[str, str] = {}
    for name in names:
        lowered.setdefault(name.lower(), name)  # the first of two alike wins
    near = difflib.get_close_matches(str(got).lower(), lowered, n=1, cutoff=0.5)
    hint = ""
    if near:
        hint = f"did you mean {lowered[near[0]]!r}? "
    listed = ", ".join(names[:MOST_NAMES])
    if len(names) > MOST_NAMES:
        listed += ", …"
    return ValueError(f"unknown {kind} {got!r}: {hint}expected one of {listed}")


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error tells of too little memory, in the process or on its accelerator."""
    # torch's own kind is a RuntimeError that says so; importing torch for it would take seconds
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    return any(words in text for words in NO_MEMORY)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its kind where it has no text."""
    lines = str(error).splitlines()
    if not lines:
        return type(error).__name__
    return lines[0]


def last_line(error: BaseException) -> str:
    """Return the last line of an error's text, or its kind where it has no text."""
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    return lines[-1].strip()
