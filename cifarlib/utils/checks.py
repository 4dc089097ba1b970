"""Numbers that a user hands in, checked and made Python's own."""

import math
import operator
from collections.abc import Iterable
from numbers import Real
from typing import Any


def whole_number(name: str, got: object, *, least: int, most: int | None = None) -> int:
    """Return `got` as an int; ValueError that names it unless it is whole and from `least` to
    `most`.

    NumPy's integers are whole numbers too; True, "3" and 3.0 are not.
    """
    number = None
    if not isinstance(got, bool):
        try:
            number = operator.index(got)  # type: ignore[arg-type]
        except TypeError:
            number = None
    if number is None or number < least or (most is not None and number > most):
        limits = f"{least} or more"
        if most is not None:
            limits = f"{least} to {most}"
        raise ValueError(f"got {name} {got!r}, expected a whole number, {limits}")
    return number


def real_number(
    name: str,
    got: object,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> float:
    """Return `got` as a float; ValueError that names it unless it is finite and within its limits.

    NumPy's numbers will do: float32(0.001) is 0.001.
    """
    limits = []
    if above is not None:
        limits.append(f"above {above:g}")
    if least is not None:
        limits.append(f"{least:g} or more")
    if most is not None:
        limits.append(f"{most:g} at most")
    expected = " ".join(["expected a number", ", ".join(limits)]).strip()
    if not isinstance(got, Real) or isinstance(got, bool):
        raise ValueError(f"got {name} {got!r}, {expected}")
    try:
        number = float(got)
    except OverflowError:  # a whole number above all floats
        number = math.inf
    if hasattr(got, "dtype"):
        number = float(str(got))  # NumPy's float32 as it is written, without its binary rest
    good = math.isfinite(number)
    good = good and (above is None or number > above)
    good = good and (least is None or number >= least)
    good = good and (most is None or number <= most)
    if not good:
        raise ValueError(f"got {name} {got!r}, {expected}")
    return number


def as_list(got: Any) -> list:
    """Return several values as a list; a name or a number alone stands for a list of one."""
    if isinstance(got, str) or not isinstance(got, Iterable):
        return [got]
    return list(got)
