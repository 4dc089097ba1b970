"""A run's state as bytes, kept from epoch to epoch and read back only into its own run."""

import io
from typing import Any

import torch

FORMAT = 3
ADVICE = "move it away to start this run anew"


def pack_state(state: dict[str, Any], *, owner: str) -> memoryview:
    """Return `state` (tensors, numbers, lists, dicts) as bytes, with torch's random state."""
    cuda_state = None
    if torch.cuda.is_available():
        cuda_state = torch.cuda.get_rng_state()
    content = {
        "format": FORMAT,
        "owner": owner,
        "random_state": {"cpu": torch.get_rng_state(), "cuda": cuda_state},
        "state": state,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getbuffer()


def unpack_state(packed: bytes | memoryview, *, owner: str, name: str = "") -> dict[str, Any]:
    """Return the state in `packed` and restore torch's random state.

    Raises ValueError, and restores nothing, for bytes that are damaged, of another format or of
    another run.
    """
    try:
        # weights_only, for opening a pickle can run any code
        content = torch.load(io.BytesIO(packed), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        kind = type(error).__name__
        raise ValueError(f"checkpoint {name} is damaged ({kind}); {ADVICE}") from None
    found_format = _format_of(content)
    if found_format != FORMAT:
        raise ValueError(
            f"checkpoint {name} has format {found_format}, expected {FORMAT}; {ADVICE}"
        )
    if content["owner"] != owner:
        raise ValueError(
            f"checkpoint {name} is of run {content['owner']}, expected {owner}; {ADVICE}"
        )
    # so that dropout goes on drawing where it was stopped
    torch.set_rng_state(content["random_state"]["cpu"])
    cuda_state = content["random_state"]["cuda"]
    if torch.cuda.is_available() and cuda_state is not None:
        torch.cuda.set_rng_state(cuda_state)
    return content["state"]


def _format_of(content: object) -> object:
    if isinstance(content, dict):
        return content.get("format")
    return type(content).__name__
