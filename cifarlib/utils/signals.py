"""Ctrl-C, held back where it would leave something half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupt_waits() -> Iterator[None]:
    """Let a Ctrl-C that comes within the block take effect at its end; a second one does at once.

    Elsewhere than in the main thread nothing needs to be held back: signals come there only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[bool] = []

    def hold(*_: object) -> None:
        if came:  # whoever asks twice does not want to wait for what may hang
            came.clear()
            raise KeyboardInterrupt
        came.append(True)

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)
