"""The network is asked briefly."""

import socket
import threading

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
