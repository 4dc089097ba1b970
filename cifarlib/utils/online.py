"""Asking the network briefly, so that a machine without one is not kept waiting."""

import functools
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from huggingface_hub import constants

PROBE_SECONDS = 3


def hub_endpoint() -> str:
    """Return the address that the hub's client is set to: HF_ENDPOINT, else huggingface.co.

    Raises ValueError for one that is no web address.
    """
    address = constants.ENDPOINT
    if not address.startswith(("https://", "http://")):
        raise ValueError(f"HF_ENDPOINT is {address!r}, expected an address like https://…")
    return address


def silent_hub() -> str:
    """Return why the hub is not to be asked, or does not answer, or "" if it does."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    return silent(hub_endpoint())


@functools.lru_cache
def silent(url: str) -> str:
    """Return why the host of `url` does not answer within PROBE_SECONDS, or "" if it does.

    Each address is asked once a process.
    """
    request = urllib.request.Request(url, method="HEAD")

    def ask() -> None:
        try:
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
        except urllib.error.HTTPError as page:  # an error page is an answer
            page.close()

    try:
        within(PROBE_SECONDS, ask)  # for a black-holed name look-up obeys no socket timeout
    except OSError as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            return f"no answer within {PROBE_SECONDS} s"
        return str(reason)
    return ""


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what `call` returns; TimeoutError if that takes longer than so many seconds.

    A call that is given up goes on in its thread, which does not keep the process.
    """
    outcome: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()

    def attempt() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:  # it is raised where the call was asked for
            outcome.put((None, error))

    threading.Thread(target=attempt, daemon=True).start()
    try:
        value, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"not done within {seconds:g} s") from None
    if error is not None:
        raise error
    return value


def host_of(url: str) -> str:
    """Return the host of an address: "www.example.org"."""
    return url.split("/")[2]
