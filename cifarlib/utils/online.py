"""Asking the network briefly, so that a machine without one is not kept waiting."""

import functools
import threading
import urllib.error
import urllib.request

PROBE_SECONDS = 3


@functools.lru_cache
def silent(url: str) -> str:
    """Return why the host of `url` does not answer within PROBE_SECONDS, or "" if it does.

    Each address is asked once a process.
    """
    answer = [f"no answer within {PROBE_SECONDS} s"]

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
        except urllib.error.HTTPError:  # an error page is an answer
            answer[0] = ""
        except OSError as error:
            answer[0] = str(getattr(error, "reason", error))
        else:
            answer[0] = ""

    # a thread, for a black-holed name look-up obeys no socket timeout
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answer[0]
