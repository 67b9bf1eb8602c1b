"""Imported records into the spool: whole segments, through privacy's door.

What belongs here: writing many events of other times at once. What does not: recording a running program
(``pipeline.capture.recorder``), which appends to one open segment of the present hour. Here a segment is
written under a hidden name, synced and then renamed, one per hour, so that a crash leaves a segment
whole or not at all.

An event's id follows from its time and what it says: data that is imported twice with the same times is
one event. A segment's time of change is set to the end of its hour: imported history did not arrive
late.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pipeline import __version__
from pipeline.capture.envelope import SCHEMA_VERSION, Envelope, Provenance
from pipeline.capture.kinds import Body
from pipeline.capture.signals import SIGNAL_KINDS, AgentDefined, AttemptFinished, ContentStored
from pipeline.capture.spool import hour_folder, line_of, segment_name, spool_directory
from pipeline.errors import PipelineError
from pipeline.privacy.acting import Redactor
from pipeline.training.importing.signalling import content_hash
from pipeline.training.importing.writing import source_of

SURFACE = "capture"
"""The surface of ``configs/privacy.yaml`` whose policies imported records pass."""

SEGMENT_BYTES = 32 * 1024 * 1024

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FREE_FIELDS = ("context", "metadata", "attributes", "parameters")
_HASHES = ("system_prompt_hash", "tools_hash", "flow_hash")
_KIND_OF = {body: kind for kind, body in SIGNAL_KINDS.items()}
_encode = msgspec.json.Encoder().encode


def ulid(milliseconds: int, tail: bytes) -> str:
    """A ULID of 48 bits of time and the first 80 bits of ``tail``."""
    number = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(tail[:10])
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


@dataclass
class SpoolWriter:
    """Records bodies; what it was given is in the spool once ``settle`` returns."""

    provenance: Provenance
    redactor: Redactor
    directory: Path
    process: str
    sequence: int = 0
    segments: int = 0
    quarantined: int = 0
    redacted: int = 0
    _waiting: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _bytes: int = 0
    _renamed: dict[str, str] = field(default_factory=dict)

    def write(self, session_id: str, body: Body, at: int) -> bool:
        """Record ``body`` at an instant (ns since 1970 UTC); false where the door keeps it apart."""
        passed = self._through_the_door(body)
        if passed is None:
            self.quarantined += 1
            return False
        encoded, kind = _encode(passed), _KIND_OF[type(passed)]
        mark = hashlib.blake2b(f"{kind}\x1f{session_id}\x1f".encode() + encoded, digest_size=10)
        self.sequence += 1
        envelope = Envelope(
            id=ulid(at // 1_000_000, mark.digest()),
            kind=kind,
            schema_version=SCHEMA_VERSION,
            subject=session_id,
            at=at,
            monotonic_ns=time.monotonic_ns(),
            process=self.process,
            sequence=self.sequence,
            content_hash=hashlib.blake2b(encoded, digest_size=16).hexdigest(),
            provenance=self.provenance,
            body=msgspec.Raw(encoded),
        )
        line = line_of(envelope)
        self._waiting[hour_folder(at)].append(line)
        self._bytes += len(line)
        if self._bytes >= SEGMENT_BYTES:
            self.settle()
        return True

    def settle(self) -> None:
        """Write what waits, a segment per hour; raises ``PipelineError`` where the spool cannot be."""
        try:
            for folder, lines in sorted(self._waiting.items()):
                self.segments += 1
                _write_whole(self.directory / folder, segment_name(self.process, self.segments), lines)
        except OSError as error:
            raise PipelineError(
                f"Writing imported events to the spool {self.directory.name}: {error.strerror or error}; "
                "make room or make it writable and import again: what is in the spool already is not doubled."
            ) from error
        self._waiting.clear()
        self._bytes = 0

    def _through_the_door(self, body: Body) -> Body | None:
        """The body as it may be kept; a content that was changed gets the hash of what it is now."""
        fields = {
            name: msgspec.to_builtins(value)
            for name in (*body.text_fields, *_FREE_FIELDS)
            if (value := getattr(body, name, None))
        }
        outcome = self.redactor.apply(fields)
        if outcome.status == "quarantined":
            return None
        passed = body
        if outcome.status == "changed":
            self.redacted += 1
            everything = {**msgspec.to_builtins(body), **(outcome.record or {})}
            try:
                passed = msgspec.convert(everything, type=type(body))
            except msgspec.ValidationError:
                return None
        return self._with_present_hashes(passed)

    def _with_present_hashes(self, body: Body) -> Body:
        if isinstance(body, ContentStored):
            now = content_hash(body.text)
            if now != body.hash:
                self._renamed[body.hash] = now
                return msgspec.structs.replace(body, hash=now)
        elif isinstance(body, AgentDefined):
            changed = {name: self._renamed.get(getattr(body, name)) for name in _HASHES}
            return msgspec.structs.replace(body, **{name: new for name, new in changed.items() if new})
        elif isinstance(body, AttemptFinished):
            documents = [
                msgspec.structs.replace(one, hash=self._renamed.get(one.hash, one.hash))
                for one in body.context_documents
            ]
            return msgspec.structs.replace(body, context_documents=documents)
        return body


def _write_whole(folder: Path, name: str, lines: list[bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{name}"
    with hidden.open("xb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    end = _hour_end(folder.name)
    if end < time.time():
        os.utime(hidden, (end, end))
    hidden.replace(folder / name)


def _hour_end(folder: str) -> float:
    return datetime.strptime(folder, "%Y-%m-%d-%H").replace(tzinfo=UTC).timestamp() + 3600


@contextmanager
def open_writer(format_name: str) -> Iterator[SpoolWriter]:
    """A writer for one import; what waits is written at the end, unless the block failed."""
    from pipeline.privacy.policies import make_redactor
    from pipeline.settings.privacy import load_privacy

    writer = SpoolWriter(
        Provenance(
            host=platform.node() or "unknown",
            pid=os.getpid(),
            library=f"model-pipeline {__version__}",
            application=source_of(format_name),
            caller=__name__,
        ),
        make_redactor(load_privacy(), surface=SURFACE),
        spool_directory(),
        ulid(time.time_ns() // 1_000_000, secrets.token_bytes(10)),
    )
    yield writer
    writer.settle()
