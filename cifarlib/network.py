"""Asking the network briefly, so that a machine without one is not kept waiting."""

import functools
import threading
import urllib.error
import urllib.request

PROBE_SECONDS = 3


@functools.lru_cache
def silent(url: str, seconds: float = PROBE_SECONDS) -> str:
    """Return why the host of `url` does not answer within `seconds`, or "" if it does; asked once a process.

    Asked in a thread, since a black-holed name look-up obeys no socket timeout.
    """
    answer = [f"no answer within {seconds:g} s"]

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
            answer[0] = ""
        except urllib.error.HTTPError:
            answer[0] = ""  # an error page is an answer
        except OSError as error:
            answer[0] = str(getattr(error, "reason", error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answer[0]
