"""The network is asked briefly."""

import socket
import threading

import pytest
from helpers import NOWHERE

from cifarlib.utils import online


def test_a_host_that_refuses_is_said_to(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "refused" in online.silent(f"{NOWHERE}/")


def test_a_host_that_answers_with_an_error_page_is_not_silent(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections = []

        def answer() -> None:
            connection, _ = server.accept()
            connections.append(connection)
            connection.recv(1000)
            connection.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert online.silent(f"http://127.0.0.1:{server.getsockname()[1]}/page") == ""
        thread.join()
    assert len(connections) == 1


def test_a_call_that_takes_too_long_is_given_up():
    never = threading.Event()
    with pytest.raises(TimeoutError, match=r"not done within 0\.1 s"):
        online.within(0.1, never.wait)
    never.set()


def test_a_call_in_time_hands_over_what_it_returns_or_raises():
    assert online.within(60, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        online.within(60, lambda: 1 // 0)


def test_a_hub_that_is_switched_off_is_not_asked(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(online, "silent", pytest.fail)
    assert online.silent_hub() == "HF_HUB_OFFLINE is set"
