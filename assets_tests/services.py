"""Real services that tests use where they are there; ``REQUIRE_SERVICES=1`` makes a missing one a failure."""

from __future__ import annotations

import os
import socket

import pytest


def require_service(name: str, host: str, port: int) -> None:
    """Skips the test, or fails it where services are required, unless something listens there."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        reason = f"no {name} at {host}:{port} ({error})"
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
