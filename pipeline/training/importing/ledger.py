"""What was imported before, so that importing the same data again changes nothing.

What belongs here: the list of imported items. What does not: importing. The list is a file of one line
per item in the data folder, appended once an item's events are handed over; a line that was cut by a
crash is passed over, and the item is imported again: its records have the ids they had, and the first
ones stand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from pipeline.errors import PipelineError
from pipeline.settings.places import data_directory
from pipeline.training.importing.signalling import Signal

_DIGEST_CHARACTERS = 32
_encode = msgspec.json.Encoder(order="deterministic").encode


def ledger_path() -> Path:
    """Where the list lies."""
    return data_directory() / "imports" / "training.txt"


def item_digest(signals: Sequence[Signal]) -> str:
    """What an item says, whatever file it stands in: a hash over sessions and bodies."""
    digest = hashlib.blake2b(digest_size=_DIGEST_CHARACTERS // 2)
    for signal in signals:
        digest.update(signal.session_id.encode("utf-8", "surrogatepass"))
        digest.update(type(signal.body).__name__.encode())
        digest.update(_encode(signal.body))
    return digest.hexdigest()


def known_items(path: Path) -> set[str]:
    """The digests in the list; none where there is no list yet."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise PipelineError(
            f"Reading the list of imported items {path.name}: {error.strerror or error}; make it readable."
        ) from error
    return {line for line in lines if len(line) == _DIGEST_CHARACTERS}


def remember(path: Path, digests: Iterable[str]) -> None:
    """Append digests to the list."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="ascii") as lines:
            lines.write("".join(f"{digest}\n" for digest in digests))
    except OSError as error:
        raise PipelineError(
            f"Writing the list of imported items {path.name}: {error.strerror or error}; the events were "
            "recorded, and importing again will record them once more without effect."
        ) from error
