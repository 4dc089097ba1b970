"""A server of this machine for tests."""

import http.server


class QuietServer(http.server.ThreadingHTTPServer):
    """A server that says nothing of clients that hang up, which may be in a later test's output."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: that a client hangs up is no news."""
