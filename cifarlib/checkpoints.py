"""A run's state as bytes: kept in memory from epoch to epoch, written whole, read back only into its own run."""

import io
from typing import Any

import torch

FORMAT = 2
ADVICE = "move it away to start this run anew"


def pack_state(state: dict[str, Any], *, owner: str) -> memoryview:
    """Return `state` (tensors, numbers, lists, dicts) with torch's random state, the format and the owner's id."""
    random = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None}
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "owner": owner, "random": random, **state}, buffer)
    return buffer.getbuffer()


def unpack_state(packed: bytes | memoryview, *, owner: str, name: str = "") -> dict[str, Any]:
    """Return the state in `packed` and restore torch's random state.

    Raises ValueError, and restores nothing, for bytes that are damaged, of another format or of another run.
    """
    try:
        state = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        raise ValueError(f"checkpoint {name} is damaged ({type(error).__name__}); {ADVICE}") from None
    if (got := state.get("format") if isinstance(state, dict) else type(state).__name__) != FORMAT:
        raise ValueError(f"checkpoint {name} has format {got}, expected {FORMAT}; {ADVICE}")
    if state["owner"] != owner:
        raise ValueError(f"checkpoint {name} is of run {state['owner']}, expected {owner}; {ADVICE}")
    torch.set_rng_state(state["random"]["cpu"])
    if torch.cuda.is_available() and state["random"]["cuda"] is not None:
        torch.cuda.set_rng_state(state["random"]["cuda"])
    return state
