"""Segments that are on the disk (fsync) before an append returns, several hours at a time.

What belongs here: files, locks, going to the second directory. What does not: lines (``writing``); a
recorder's segments (``pipeline.capture.segments``), which are one at a time and do not wait for the disk. The
form is the spool's: a hidden name, a lock, then the segment's name.
"""

from __future__ import annotations

import errno
import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from pipeline.capture.segments import RETRY_SECONDS
from pipeline.capture.spool import hour_folder, segment_name

try:
    import fcntl
except ImportError:  # Windows has no flock; the segment's name says so
    fcntl = None  # type: ignore[assignment]

OPEN_SEGMENTS = 3
"""Hours that may be written at a time; a span that ended hours ago belongs to its own hour."""

LARGEST_SEGMENT = 64_000_000
"""Bytes after which a segment is closed and the next one begun."""


class _Segment:
    """A locked file that one process appends to."""

    def __init__(self, folder: Path, process: str, number: int, place_number: int) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if hasattr(os, "getuid") and place_number and folder.stat().st_uid != os.getuid():
            # The temporary folder is open to everybody: what another user made there is not ours.
            raise PermissionError(errno.EACCES, "the second directory belongs to another user")
        self.place_number = place_number
        place = folder / segment_name(process, number, locks=fcntl is not None)
        hidden = folder / f".{place.name}"
        self.size = 0
        self.descriptor = os.open(
            hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        if fcntl is not None:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        hidden.rename(place)
        for directory in (folder, folder.parent):
            _sync_directory(directory)

    def append(self, data: bytes) -> None:
        """Append and wait for the disk."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]
        os.fsync(self.descriptor)
        self.size += len(data)

    def cut(self) -> None:
        """Take back what a failed append may have left."""
        os.ftruncate(self.descriptor, self.size)

    def close(self) -> None:
        """Drop the lock: nobody will append any more."""
        os.close(self.descriptor)


class SyncedSegments:
    """Appends to the segment of each hour, in the first of ``directories`` that takes it. Not locked."""

    def __init__(self, directories: Sequence[Path], process: str) -> None:
        self._directories, self._process = tuple(directories), process
        self._open: OrderedDict[str, _Segment] = OrderedDict()
        self._number = 0
        self._retry_at = 0.0

    def append(self, folder: str, data: bytes) -> int:
        """Append all of ``data`` durably; which directory took it, 0 the first. Raises the last ``OSError``
        where none does; then nothing of it is left."""
        failure = OSError(errno.ENOSPC, "no directory takes the events")
        for place in range(len(self._directories)):
            if place == 0 and time.monotonic() < self._retry_at:
                continue
            try:
                self._segment(folder, place).append(data)
            except OSError as error:
                failure = error
                self._give_up(folder)
                if place == 0 and len(self._directories) > 1:
                    self._retry_at = time.monotonic() + RETRY_SECONDS
            else:
                return place
        # The first one may be well again although its pause is not over; nobody should be refused for that.
        self._retry_at = 0.0
        raise failure

    def close(self) -> None:
        """Close every segment; the locks go with them."""
        while self._open:
            self._open.popitem()[1].close()

    def _give_up(self, folder: str) -> None:
        """Close a segment that could not be written, without the part of a line that may stand at its end."""
        segment = self._open.pop(folder, None)
        if segment is not None:
            try:
                segment.cut()
            finally:
                segment.close()

    def _segment(self, folder: str, place: int) -> _Segment:
        segment = self._open.get(folder)
        if segment is not None and segment.size < LARGEST_SEGMENT and segment.place_number == place:
            self._open.move_to_end(folder)
            return segment
        if segment is not None:
            self._open.pop(folder).close()
        self._number += 1
        opened = _Segment(self._directories[place] / folder, self._process, self._number, place)
        self._open[folder] = opened
        now = hour_folder(time.time_ns())
        for old in [name for name in self._open if name not in (folder, now)][: -OPEN_SEGMENTS + 1 or None]:
            self._open.pop(old).close()
        return opened


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open a directory, and writes its entries through
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
