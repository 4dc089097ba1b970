"""A run's state as bytes, kept from epoch to epoch and read back only into its own run."""

import hashlib
import io
from typing import Any

import torch

# at the end of each checkpoint: this mark, then the SHA-256 of all that is before it
MARK = b"cifarlib checkpoint, format 6\n"
DIGEST_BYTES = 32
ADVICE = "move it away to start this run anew"

Owner = str | dict[str, Any]  # whose state it is: a name, or all that makes a run what it is


def pack_state(state: dict[str, Any], *, owner: Owner) -> memoryview:
    """Return `state` (tensors, numbers, lists, dicts) as bytes, with torch's random state."""
    cuda_state = None
    if torch.cuda.is_available():
        cuda_state = torch.cuda.get_rng_state()
    content = {
        "owner": owner,
        "random_state": {"cpu": torch.get_rng_state(), "cuda": cuda_state},
        "state": state,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    buffer.write(MARK)
    # a flipped bit among the weights would load, and the run would go on with other numbers
    digest = hashlib.sha256(buffer.getbuffer()).digest()
    buffer.write(digest)
    return buffer.getbuffer()


def unpack_state(packed: bytes | memoryview, *, owner: Owner, name: str = "") -> dict[str, Any]:
    """Return the state in `packed` and restore torch's random state.

    Raises ValueError, and restores nothing, for bytes that are damaged, of another format or of
    another run.
    """
    content = _read(memoryview(packed), name)
    _check_owner(content["owner"], owner, name)
    # so that dropout goes on drawing where it was stopped
    torch.set_rng_state(content["random_state"]["cpu"])
    cuda_state = content["random_state"]["cuda"]
    if torch.cuda.is_available() and cuda_state is not None:
        torch.cuda.set_rng_state(cuda_state)
    return content["state"]


def peek_state(packed: bytes | memoryview, *, name: str = "") -> dict[str, Any]:
    """Return the state in `packed`, whosever it is, and restore nothing; ValueError if damaged."""
    return _read(memoryview(packed), name)["state"]


def _read(packed: memoryview, name: str) -> dict[str, Any]:
    """Return a checkpoint's content, whose digest is right; ValueError if it is not."""
    end = len(packed) - DIGEST_BYTES
    body = packed[: max(0, end)]
    if bytes(body[-len(MARK) :]) != MARK:
        raise ValueError(
            f"checkpoint {name} is damaged, or was written by another version; {ADVICE}"
        )
    if hashlib.sha256(body).digest() != bytes(packed[end:]):
        raise ValueError(f"checkpoint {name} is damaged; {ADVICE}")
    # weights_only, for opening a pickle can run any code
    return torch.load(
        io.BytesIO(body[: -len(MARK)]),
        map_location="cpu",
        weights_only=True,
    )


def _check_owner(found: Owner, expected: Owner, name: str) -> None:
    """Raise ValueError if a checkpoint is of another run: it says what is different."""
    if found == expected:
        return
    if not isinstance(found, dict) or not isinstance(expected, dict):
        raise ValueError(f"checkpoint {name} is of run {found}, expected {expected}; {ADVICE}")
    different = []
    for part in sorted({*found, *expected}):
        if found.get(part) != expected.get(part):
            different.append(f"{part} {found.get(part)}, expected {expected.get(part)}")
    raise ValueError(
        f"checkpoint {name} was begun otherwise ({'; '.join(different)}):"
        f" put the old back to go on, or {ADVICE}"
    )
