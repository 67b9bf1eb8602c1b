"""The envelope that every event travels in, and its line in a segment.

What belongs here: the envelope's fields and the form of a line. What does not: writing lines (``recorder``),
reading segments back (``spool``), bodies (``events``, ``signals``).

A line is ``CCCCCCCC {…}\\n``: the CRC-32 of the JSON bytes as eight lower-case hexadecimal digits, a space,
the envelope as compact JSON (UTF-8, no line feed inside), a line feed. A segment is a file
``<spool>/<YYYY-MM-DD-HH>/<process>-<number>.events`` that one process appends to; the folder is the UTC hour
of the events in it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

SCHEMA_VERSION = 1
"""Version of envelope and bodies; a field may be added within a version, never renamed or removed."""

Ulid = Annotated[str, msgspec.Meta(pattern="^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
"""A ULID in Crockford's base 32: 48 bits of milliseconds, 80 random bits; sorts by time."""


class Provenance(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Where an event comes from: host, process number, library version, calling application and module."""

    host: str
    pid: int
    library: str
    application: str = ""
    caller: str = ""


class Envelope(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """An event as it is written.

    ``at`` is the wall clock in nanoseconds since 1970 UTC, ``monotonic_ns`` the process's own clock.
    ``process`` is a ULID drawn when a process starts recording (a fork draws its own) and ``sequence`` counts
    that process's events from 1 without a gap: what is missing from the count was lost. ``content_hash`` is
    BLAKE2b-128 of the body's bytes, in hexadecimal. ``subject`` is the task's id, or of a training record its
    session's.
    """

    id: Ulid
    kind: str
    schema_version: int
    subject: str
    at: int
    monotonic_ns: int
    process: Ulid
    sequence: int
    content_hash: str
    provenance: Provenance
    body: msgspec.Raw
    synthetic: bool = False
