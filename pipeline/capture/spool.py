"""The spool: where segments lie, how their lines read, and when a segment is complete.

What belongs here: names and places of segments, a line's checksum, reading lines back, telling a segment
that is still written from a closed one. What does not: writing (``recorder``, ``segments``), tables.

Layout of a spool, of the first directory and of the second one alike::

    <spool>/2026-01-31-14/<process>-<number>.events   the events of that UTC hour, one process, append only
    <spool>/processes/<process>.json                  who writes: host, process number, application, start
    <spool>/sampling.json, halt.json                  what recorders are told (``controls``)

The first directory is ``spool/`` in the data folder (``PIPELINE_DATA_DIR``). When it is full or read-only
recorders write to the second one: ``PIPELINE_SPOOL_FALLBACK``, else a folder of the user's state folder, else
one of the temporary folder. ``spool_directories()`` lists all of them; a loader reads them all.

**Closed or still written.** A writer makes its segment under a hidden name, takes an exclusive ``flock`` on
it and only then renames it to ``*.events``; it never locks it again. The kernel drops the lock when the
segment is rotated and when the process ends for whatever reason, SIGKILL too. So whoever can take a shared
lock sees a segment that nobody will ever append to. A fork closes its parent's segment and starts its own;
a process it executes does not inherit it. On NFS (Linux, version 4) the kernel carries the lock to the
server, so this holds between hosts as long as the server is reachable and its lease (90 s) ran out after a
crash. Where a file system has no locks, and on Windows, the number ends with ``u`` (unlocked); such a
segment counts as closed when its hour has been over for ten minutes and nothing was appended for ten
minutes. Reading an open segment is always safe: only whole lines with the right checksum are events, and an
event has an id.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from pipeline.capture.envelope import Envelope
from pipeline.settings.places import data_directory

try:
    import fcntl
except ImportError:  # Windows has no flock: segments are named as unlocked there
    fcntl = None  # type: ignore[assignment]

FALLBACK_VARIABLE = "PIPELINE_SPOOL_FALLBACK"
"""Environment variable that names the second directory."""

LARGEST_LINE = 16_000_000
"""Longest line that is read as an event, in bytes; a longer one is broken."""

SETTLED_SECONDS = 600.0
"""How long an unlocked segment's hour must be over, and the segment untouched, before it counts as closed."""

_SEGMENT = re.compile(r"([0-7][0-9A-HJKMNP-TV-Z]{25})-(\d{6,9})(u?)\.events\Z", re.ASCII)
_FOLDER = re.compile(r"\d{4}-\d{2}-\d{2}-\d{2}\Z", re.ASCII)
_decode = msgspec.json.Decoder(Envelope).decode
_encode = msgspec.json.Encoder().encode


class Broken(NamedTuple):
    """A line that is no event, and why in a few words."""

    reason: str


class Segment(NamedTuple):
    """One segment: file, hour (``YYYY-MM-DD-HH:00``), process, number, bytes; ``locks`` while it is
    written."""

    path: Path
    hour: str
    process: str
    number: int
    size: int
    locks: bool = True


class Line(NamedTuple):
    """One line of a segment: number from 1, byte at which it begins, its bytes, what it holds."""

    number: int
    offset: int
    raw: bytes
    event: Envelope | Broken


def spool_directory() -> Path:
    """The first directory: ``spool/`` in the data folder."""
    return data_directory() / "spool"


def fallback_directories(first: Path | None = None) -> tuple[Path, ...]:
    """The second directories that belong to the first one, in the order in which a recorder tries them.

    Their names hold a hash of the first directory's path, so that two data folders do not mix.
    """
    named = os.environ.get(FALLBACK_VARIABLE)
    if named:
        return (Path(named).expanduser().absolute(),)
    place = str((first or spool_directory()).absolute())
    name = "spool-" + hashlib.blake2b(place.encode(), digest_size=8).hexdigest()
    state = os.environ.get("XDG_STATE_HOME")
    home = Path(state) if state else Path("~/.local/state").expanduser()
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    return (home / "model-pipeline" / name, Path(tempfile.gettempdir()) / f"model-pipeline-{user}" / name)


def spool_directories(first: Path | None = None) -> tuple[Path, ...]:
    """Every directory that may hold segments: the first one and the second ones."""
    return (first or spool_directory(), *fallback_directories(first))


def hour_folder(at: int) -> str:
    """The folder of an instant in nanoseconds since 1970: ``YYYY-MM-DD-HH``, UTC."""
    return time.strftime("%Y-%m-%d-%H", time.gmtime(at // 1_000_000_000))


def segment_name(process: str, number: int, *, locks: bool = True) -> str:
    """The file name of a process's segment; numbers rise from 1 over all hours and directories."""
    return f"{process}-{number:06d}{'' if locks else 'u'}.events"


def segments(directories: Iterable[Path]) -> list[Segment]:
    """Every segment in these directories, by hour, process and number; other files, and links, are left
    alone."""
    found = []
    for directory in directories:
        for folder in _entries(directory):
            if not _FOLDER.match(folder.name) or folder.is_symlink():
                continue
            for file in _entries(Path(folder.path)):
                name = _SEGMENT.match(file.name)
                # A link may lead anywhere, and opening a pipe would wait for ever: recorders make neither.
                if name is None or not file.is_file(follow_symlinks=False):
                    continue
                try:
                    size = file.stat(follow_symlinks=False).st_size
                except FileNotFoundError:  # archived between listing and looking
                    continue
                found.append(
                    Segment(Path(file.path), f"{folder.name}:00", name[1], int(name[2]), size, not name[3])
                )
    return sorted(found, key=lambda segment: (segment.hour, segment.process, segment.number))


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def line_of(envelope: Envelope) -> bytes:
    """The event as a line, line feed included."""
    return checked(_encode(envelope))


def checked(data: bytes) -> bytes:
    """JSON bytes as a line: checksum, space, bytes, line feed."""
    return b"%08x %b\n" % (zlib.crc32(data), data)


def parse_line(raw: bytes) -> Envelope | Broken:
    """What a line holds (with or without its line feed): an event, or why it is none."""
    line = raw[:-1] if raw.endswith(b"\n") else raw
    if len(line) < 10 or line[8:9] != b" ":
        return Broken("the line has no checksum" if line else "the line is empty")
    data = line[9:]
    if line[:8] != b"%08x" % zlib.crc32(data):
        return Broken("the checksum differs from the line")
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # msgspec names the field and the rule, never the value.
        return Broken(f"the envelope is malformed: {error}")


def is_closed(path: Path) -> bool:
    """Whether nobody will append to the segment any more; see the module's text.

    Raises ``FileNotFoundError`` where there is none.
    """
    name = _SEGMENT.match(path.name)
    if name is None or name[3] or fcntl is None:
        return _settled(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            return _settled(path)
        raise
    finally:
        os.close(descriptor)
    return True


def _settled(path: Path) -> bool:
    seconds, folder = time.time(), path.parent.name
    over = not _FOLDER.match(folder) or hour_folder(int((seconds - SETTLED_SECONDS) * 1e9)) > folder
    return over and seconds - path.stat().st_mtime > SETTLED_SECONDS


def read_segment(
    path: Path, offset: int = 0, *, first_line: int = 1, closed: bool | None = None
) -> Iterator[Line]:
    """The lines of a segment from a byte on, whole or broken, in order.

    ``offset`` is where a line begins (an earlier line's offset plus its length) and ``first_line`` that
    line's number. A last line without its line feed is left out while the segment is open (the next read
    finds it whole) and broken once it is closed; ``closed`` says so where the caller knows, otherwise
    ``is_closed``.
    """
    complete = is_closed(path) if closed is None else closed  # asked before reading, never after
    with path.open("rb") as file:
        file.seek(offset)
        number, place = first_line, offset
        while True:
            raw = file.readline(LARGEST_LINE)
            if not raw:
                return
            length = len(raw)
            if raw.endswith(b"\n"):
                yield Line(number, place, raw, parse_line(raw))
            elif length < LARGEST_LINE:
                if complete:
                    yield Line(number, place, raw, Broken("the line was not finished"))
                return
            else:
                rest, ended = _skip_line(file)
                if not ended and not complete:
                    return
                length += rest
                yield Line(number, place, raw, Broken(f"the line is longer than {LARGEST_LINE:,} bytes"))
            number, place = number + 1, place + length


def _skip_line(file: BinaryIO) -> tuple[int, bool]:
    """Read to the next line feed: how many bytes, and whether there was one."""
    skipped = 0
    while True:
        part = file.readline(LARGEST_LINE)
        skipped += len(part)
        if not part or part.endswith(b"\n"):
            return skipped, bool(part)
