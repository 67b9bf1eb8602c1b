"""Privacy's door: what an event holds is looked at before it is written, and acted on.

What belongs here: passing a subject and a body through a ``Redactor``. What does not: finding and redacting
(``pipeline.privacy``), reading policies from a file (``policy_file``), what a quarantined event looks like
(``admitting``).

Importing this module loads no detector; opening a door does, so that importing a recorder stays cheap.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pipeline.errors import PipelineError
from pipeline.settings.places import data_directory

if TYPE_CHECKING:
    from pipeline.privacy.acting import Redactor

SURFACE = "capture"
"""The surface that policies name to act on events."""

KEY_VARIABLE = "PIPELINE_PRIVACY_PLACEHOLDER_KEY"
"""Environment variable with the key of placeholders, as in ``configs/privacy.yaml``."""

FILE_VARIABLE = "PIPELINE_PRIVACY_FILE"
"""Environment variable that names the file whose policies the door applies."""

_SHORTEST_KEY = 16


class Passed(NamedTuple):
    """What came through: subject and body as JSON, how (clean, changed, quarantined) and why."""

    subject: bytes
    body: bytes
    status: str
    reason: str = ""


class Door:
    """Passes bodies; nothing comes through that was not scanned to its end.

    ``key`` seals subjects that hold something private.
    """

    def __init__(self, redactor: Redactor, key: bytes) -> None:
        self._redactor, self._key = redactor, key

    def check(self, subject: bytes, body: bytes) -> Passed:
        """Subject and body (both JSON) as they may be written; body is empty where it is quarantined."""
        try:
            _, outcome = self._redactor.apply_json(b'{"subject":%b,"body":%b}' % (subject, body))
        except PipelineError as error:
            # The policy cannot be applied, a recipient's key is missing for one: kept apart, never passed.
            return Passed(self._safe(subject), b"", "quarantined", str(error))
        if outcome.status == "clean":
            return Passed(subject, body, "clean")
        if outcome.status == "quarantined" or not isinstance(outcome.record, dict):
            return Passed(self._safe(subject), b"", "quarantined", outcome.reason or "its body was dropped")
        changed = msgspec.json.encode(outcome.record.get("subject"))
        safe = subject if changed == subject else self._sealed(subject)
        return Passed(safe, msgspec.json.encode(outcome.record.get("body")), "changed")

    def text(self, text: str) -> str:
        """A short text as it may be written; empty where it holds something private."""
        return text if not text or self._redactor.apply(text).status == "clean" else ""

    def kept(self, text: str) -> str:
        """A text as the body of an event would keep it; the text itself where the event is quarantined."""
        passed = self.check(b'""', msgspec.json.encode(text))
        kept = msgspec.json.decode(passed.body) if passed.status == "changed" else text
        return kept if isinstance(kept, str) else text

    def _safe(self, subject: bytes) -> bytes:
        """The subject of an event that is kept apart: as it is where nothing is found in it alone."""
        try:
            clean = self._redactor.apply(msgspec.json.decode(subject)).status == "clean"
        except PipelineError:
            clean = False
        return subject if clean else self._sealed(subject)

    def _sealed(self, subject: bytes) -> bytes:
        """A subject in place of one that may hold something private: a keyed hash, so events still join."""
        digest = hashlib.blake2b(subject, key=self._key[:64], digest_size=10).hexdigest()
        return b'"private-%b"' % digest.encode()


def open_door(redactor: Redactor | None = None, privacy_file: Path | str | None = None) -> Door:
    """A door that is warm: with this redactor, with the policies of a file, or with none of them.

    Where neither is given the file that ``PIPELINE_PRIVACY_FILE`` names is taken, and without one every
    find is replaced by a typed placeholder. Raises ``ConfigurationError`` for a file that cannot be used.
    """
    key = _placeholder_key()
    named = privacy_file or os.environ.get(FILE_VARIABLE)
    if redactor is None and named:
        from pipeline.capture.policy_file import redactor_of

        redactor = redactor_of(Path(named).expanduser())
    if redactor is None:
        from pipeline.privacy.acting import Redactor as Plain
        from pipeline.privacy.detect import default_detector

        redactor = Plain(default_detector(), surface=SURFACE, placeholder_key=key)
    door = Door(redactor, key)
    door.check(b'"warm"', b'{"text":"nothing private, but something to look at: 12"}')
    return door


def _placeholder_key() -> bytes:
    """The key that the whole data folder shares, made on first use; one of this process where that fails."""
    named = os.environ.get(KEY_VARIABLE, "").encode()
    if len(named) >= _SHORTEST_KEY:
        return named
    path = data_directory() / "privacy" / "placeholder.key"
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError:
        key = b""
    return key if len(key) >= _SHORTEST_KEY else os.urandom(32)


def _make_key(path: Path) -> None:
    """Of several processes that make the first key at once one links its own; all read that one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(32).hex().encode())
    try:
        os.link(new, path)
    except FileExistsError:
        return  # another process was faster; its key is the one to read
    finally:
        new.unlink()
