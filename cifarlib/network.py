"""Asking the network briefly, so that a machine without one is not kept waiting."""

import functools
import threading
import urllib.error
import urllib.request

PROBE_SECONDS = 3


@functools.lru_cache
def silent(url: str) -> str:
    """Return why the host of `url` does not answer within PROBE_SECONDS, or "" if it does; asked once a process."""
    answer = [f"no answer within {PROBE_SECONDS} s"]

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PROBE_SECONDS).close()
            answer[0] = ""
        except OSError as error:  # an error page is an answer
            answer[0] = "" if isinstance(error, urllib.error.HTTPError) else str(getattr(error, "reason", error))

    thread = threading.Thread(target=ask, daemon=True)  # a black-holed name look-up obeys no socket timeout
    thread.start()
    thread.join(PROBE_SECONDS)
    return answer[0]
