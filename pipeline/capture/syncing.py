"""The thread that brings what was written to the disk every so many milliseconds.

What belongs here: the thread. What does not: syncing itself (``journal``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Syncer:
    """Calls ``sync`` every ``milliseconds`` from its ``start`` until its ``stop``; a fork needs its own."""

    def __init__(self, sync: Callable[[], None], milliseconds: float) -> None:
        self._sync, self._seconds = sync, milliseconds / 1000
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless it runs already."""
        if self._thread is None:
            self._over.clear()
            self._thread = threading.Thread(target=self._run, name="capture-sync", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End after the running sync; what was written since is the closing's to sync."""
        self._over.set()
        self._thread = None

    def _run(self) -> None:
        over = self._over
        while not over.wait(self._seconds):
            self._sync()
