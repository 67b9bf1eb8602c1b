"""Privacy's door: what an event holds is looked at before it is written, and acted on.

What belongs here: passing a subject and a body through a ``Redactor``. What does not: finding and redacting
(``pipeline.privacy``), what a quarantined event looks like (``recorder``).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.privacy.acting import SHORTEST_KEY, Redactor
from pipeline.privacy.detect import default_detector
from pipeline.settings.places import data_directory

KEY_VARIABLE = "PIPELINE_PRIVACY_PLACEHOLDER_KEY"
"""Environment variable with the key of placeholders, as in ``configs/privacy.yaml``."""


class Passed(NamedTuple):
    """What came through: subject and body as JSON, how (clean, changed, quarantined) and why."""

    subject: bytes
    body: bytes
    status: str
    reason: str = ""


class Door:
    """Passes bodies; nothing comes through that was not scanned to its end.

    ``redactor`` applies a policy of its own; by default every find is replaced by a typed placeholder.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        self._key = _placeholder_key()
        self._redactor = redactor or Redactor(
            default_detector(), surface="capture", placeholder_key=self._key
        )

    def check(self, subject: bytes, body: bytes) -> Passed:
        """Subject and body (both JSON) as they may be written; body is empty where it is quarantined."""
        _, outcome = self._redactor.apply_json(b'{"subject":%b,"body":%b}' % (subject, body))
        if outcome.status == "clean":
            return Passed(subject, body, "clean")
        if outcome.status == "quarantined" or not isinstance(outcome.record, dict):
            # The task is named all the same where its name alone is clean, so that its data point can say so.
            _, alone = self._redactor.apply_json(b'{"subject":%b}' % subject)
            kept = subject if alone.status == "clean" else self._sealed(subject)
            return Passed(kept, b"", "quarantined", outcome.reason or "its body was dropped")
        changed = msgspec.json.encode(outcome.record.get("subject"))
        safe = subject if changed == subject else self._sealed(subject)
        return Passed(safe, msgspec.json.encode(outcome.record.get("body")), "changed")

    def text(self, text: str) -> str:
        """A short text as it may be written; empty where it holds something private."""
        return text if self._redactor.apply(text).status == "clean" else ""

    def _sealed(self, subject: bytes) -> bytes:
        """A subject in place of one that may hold something private: a keyed hash, so events still join."""
        return (
            b'"private-%b"'
            % hashlib.blake2b(subject, key=self._key[:64], digest_size=10).hexdigest().encode()
        )


def _placeholder_key() -> bytes:
    """The key that the whole data folder shares, made on first use; one of this process where that fails."""
    named = os.environ.get(KEY_VARIABLE, "").encode()
    if len(named) >= SHORTEST_KEY:
        return named
    path = data_directory() / "privacy" / "placeholder.key"
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError:
        key = b""
    return key if len(key) >= SHORTEST_KEY else os.urandom(32)


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_hex(32).encode())
    # Of several processes that make the first key at once one links its own; all read that one.
    try:
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
    finally:
        new.unlink()
