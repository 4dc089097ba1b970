"""A run's state on disk: written whole each epoch, read back only into the run that wrote it."""

from pathlib import Path
from typing import Any

import torch

from .files import atomic_path

FORMAT = 1


def save_checkpoint(path: str | Path, state: dict[str, Any], *, owner: str) -> None:
    """Write `state` (tensors, numbers, lists, dicts) atomically, with the format and its owner's id."""
    random = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}
    with atomic_path(path) as temporary:
        torch.save({"format": FORMAT, "owner": owner, "random": random, **state}, temporary)


def load_checkpoint(path: str | Path, *, owner: str) -> dict[str, Any] | None:
    """Return the state in `path`, restoring torch's random state, or None where there is no file.

    Raises ValueError, and touches nothing, for a file that is damaged, of another format or run.
    """
    path = Path(path)
    if not path.exists():
        return None
    advice = "move it away to start this run anew"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        raise ValueError(f"checkpoint {path} is damaged ({type(error).__name__}); {advice}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        got = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"checkpoint {path} has format {got}, expected {FORMAT}; {advice}")
    if state["owner"] != owner:
        raise ValueError(f"checkpoint {path} is of run {state['owner']}, expected {owner}; {advice}")
    torch.set_rng_state(state["random"]["cpu"])
    if torch.cuda.is_available() and state["random"]["cuda"]:
        torch.cuda.set_rng_state_all(state["random"]["cuda"])
    return state
