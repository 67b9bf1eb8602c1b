"""One process at a time collects a run: a lock file per run, given back by the system when a process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pipeline.errors import PipelineError


class RunLock:
    """The lock of one run; ``take`` says at once whether it was free."""

    def __init__(self, folder: Path, run_key: str) -> None:
        self._path = folder / "locks" / f"{run_key}.lock"
        self._descriptor: int | None = None

    def take(self) -> bool:
        """True where this process holds the run now; False where another does."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise PipelineError(
                f"Taking the lock {self._path.name}: {error.strerror or error}; "
                "check the data folder's permissions."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return True

    def holder(self) -> str:
        """The process id that holds the lock, as it wrote it; "another process" where it has not."""
        try:
            return f"process {int(self._path.read_text(encoding='ascii'))}"
        except (OSError, ValueError):
            return "another process"

    def release(self) -> None:
        """Give the run back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
