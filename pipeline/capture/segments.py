"""Appending lines to the segments of one process.

What belongs here: making, locking, rotating and closing segment files, short writes, going to the second
directory. What does not: what a line says (``recorder``), reading segments (``spool``).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.capture.spool import segment_name

try:
    import fcntl
except ImportError:  # Windows: segments are named as unlocked
    fcntl = None  # type: ignore[assignment]

RETRY_SECONDS = 30.0
"""How long the second directory is used before the first one is tried again."""

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


class SegmentWriter:
    """Appends to one segment at a time, in the first of ``directories`` that takes it.

    Not locked: the recorder holds its lock. ``sync`` also brings new folders and closed segments to the disk.
    """

    def __init__(
        self, directories: Sequence[Path], process: str, *, largest: int, sync: bool = False
    ) -> None:
        self._directories = tuple(directories)
        self._process = process
        self._largest = largest
        self._sync = sync
        self._descriptor = -1
        self._folder = ""
        self._size = 0
        self._number = 0
        self._unsure = False
        self._retry_at = 0.0
        self.place = 0
        """Which directory the open segment lies in; 0 is the first."""
        self.dirty = False
        """Whether something was appended since the last ``sync_copy``."""

    def is_full(self, length: int) -> bool:
        """Whether the open segment, if there is one, must be left before another ``length`` bytes."""
        return self._size + length > self._largest and self._descriptor >= 0

    def append(self, folder: str, line: bytes) -> int:
        """Append a whole line or nothing; its bytes. Raises the last directory's ``OSError`` when none takes
        it."""
        if self._descriptor >= 0:
            if folder == self._folder and not (self.place and self._first_is_due()):
                try:
                    return self._write(line)
                except OSError:
                    self._leave()
            else:
                self.close()
        failure: OSError | None = None
        for place in range(len(self._directories)):
            if place == 0 and time.monotonic() < self._retry_at:
                continue
            try:
                self._open(place, folder)
                return self._write(line)
            except OSError as error:
                failure = error
                self._leave(place)
        raise failure or OSError(errno.ENOSPC, "no directory takes the event")

    def _first_is_due(self) -> bool:
        return time.monotonic() >= self._retry_at

    def _leave(self, place: int | None = None) -> None:
        if (self.place if place is None else place) == 0:
            self._retry_at = time.monotonic() + RETRY_SECONDS
        self.close()

    def _open(self, place: int, folder: str) -> None:
        self._number += 1
        directory = self._directories[place] / folder
        made = not directory.is_dir()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if hasattr(os, "getuid") and place and directory.stat().st_uid != os.getuid():
            # The temporary folder is open to everybody: what another user made there is not ours.
            raise PermissionError(errno.EACCES, "the second directory belongs to another user")
        name = segment_name(self._process, self._number)
        hidden = directory / f".{name}"
        descriptor = os.open(
            hidden, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600
        )
        try:
            if not _lock(descriptor):
                name = segment_name(self._process, self._number, locks=False)
            hidden.rename(directory / name)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._folder, self._size, self.place = descriptor, folder, 0, place
        self._unsure = False
        if self._sync and made:
            _sync_folder(directory)

    def _write(self, line: bytes) -> int:
        if self._unsure:
            line = self._ending() + line
        self._unsure = True  # until the line is whole: an interrupt may end this call anywhere
        done, whole = 0, len(line)
        try:
            done = os.write(self._descriptor, line)
            while done < whole:
                done += os.write(self._descriptor, line[done:])
        except OSError:
            if done:
                self._take_back()
            else:
                self._unsure = False
            raise
        self._size += done
        self._unsure = False
        self.dirty = True
        return done

    def _take_back(self) -> None:
        """Cut off a line of which only a part was written; nobody else appends to this file."""
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            return  # the next line, if any, begins with a line feed (_ending)
        self._unsure = False

    def _ending(self) -> bytes:
        """The line feed that ends a torn line; nothing where the last line is whole."""
        size = os.fstat(self._descriptor).st_size
        self._size = size
        return b"" if size == 0 or os.pread(self._descriptor, 1, size - 1) == b"\n" else b"\n"

    def sync_copy(self) -> int | None:
        """A descriptor to sync outside the lock and to close; none where nothing was appended since."""
        if not self.dirty or self._descriptor < 0:
            return None
        self.dirty = False
        return os.dup(self._descriptor)

    def close(self) -> None:
        """Close the open segment; its lock goes with it."""
        descriptor, self._descriptor, self.place = self._descriptor, -1, 0
        if descriptor < 0:
            return
        try:
            if self._sync and self.dirty:
                os.fsync(descriptor)
        finally:
            self.dirty = False
            os.close(descriptor)

    def abandon(self) -> None:
        """In a fork: let go of the parent's segment without touching it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _sync_folder(directory: Path) -> None:
    for folder in (directory, directory.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
