"""Which families of values a text may hold, in one pass over its bytes.

What belongs here: the multi-pattern engines (hyperscan, else google-re2, else none) behind one call. What
does not: the patterns, which the rules own, and confirming, which slower code does.

The answer never says where a value stands: a family named here is then looked for by its own rule, so
a pattern may be loose but must never miss. Texts come as one byte per code point (``view``).
"""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from pipeline.errors import ConfigurationError

Trigger = tuple[str, int]
"""A pattern in the syntax that hyperscan and RE2 share, and the family it announces."""


class Engine(Protocol):
    """Anything that tells the families a text may hold."""

    name: str

    def families(self, data: bytes) -> set[int]:
        """Numbers of the families of which a trigger matches in ``data``."""


def view(text: str) -> bytes:
    """One byte per code point; what is beyond ASCII becomes ``?``, which triggers treat as a letter.

    Engines put a line break in front and behind, so that a trigger may ask for a character that is no
    letter instead of a boundary, which costs them more.
    """
    return text.encode("ascii", "replace")


def build(triggers: Sequence[Trigger], prefer: str | None = None) -> Engine:
    """The fastest engine that is installed, or the one ``prefer`` names (hyperscan, re2, none)."""
    engines: dict[str, Any] = {"hyperscan": Hyperscan, "re2": Re2, "none": Everything}
    wanted = [prefer] if prefer else ["hyperscan", "re2", "none"]
    for name in wanted:
        if name == "none" or importlib.util.find_spec(name):
            engine: Engine = engines[name](triggers)
            return engine
    raise ConfigurationError(
        f"Building the detector: the engine {prefer} is not installed; install it or name another."
    )


class Hyperscan:
    """Intel's hyperscan: every trigger at once, each reported at most once a scan."""

    name = "hyperscan"

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        import importlib.metadata

        import hyperscan

        self._hyperscan = hyperscan
        version = importlib.metadata.version("hyperscan")
        self._families = [family for _, family in triggers]
        self._local = threading.local()
        numbered = list(enumerate(pattern for pattern, _ in triggers))
        # Two small databases take a fifth less time than one: patterns of digits are matched bit by bit, those
        # with words by their words, and together they slow each other down.
        digits = [item for item in numbered if _starts_with_digits(item[1])]
        words = [item for item in numbered if not _starts_with_digits(item[1])]
        self._databases = [self._database(version, part) for part in (digits, words) if part]

    def _database(self, version: str, patterns: list[tuple[int, str]]) -> Any:
        hyperscan = self._hyperscan
        kept = _kept_at(version, [f"{place} {pattern}" for place, pattern in patterns])
        loaded = _load(hyperscan, kept)
        if loaded is not None:
            return loaded
        database = hyperscan.Database()
        try:
            database.compile(
                expressions=[pattern.encode() for _, pattern in patterns],
                ids=[place for place, _ in patterns],
                elements=len(patterns),
                flags=[hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL] * len(patterns),
            )
        except hyperscan.error as error:
            raise ConfigurationError(
                f"Building the detector: hyperscan refuses a pattern ({error}); write it without look-around, "
                "back-references and large counts."
            ) from error
        _keep(hyperscan.dumpb(database), kept)
        return database

    def families(self, data: bytes) -> set[int]:
        """See ``Engine``."""
        found: list[int] = []
        # Scratch space serves one scan at a time, so every thread has its own.
        scans = getattr(self._local, "scans", None)
        if scans is None:
            scans = self._local.scans = [
                (part.scan, self._hyperscan.Scratch(part)) for part in self._databases
            ]
        framed = b"\n%b\n" % data
        for scan, scratch in scans:
            scan(framed, match_event_handler=_note, context=found, scratch=scratch)
        return {self._families[place] for place in found} if found else _NOTHING


_NOTHING: set[int] = set()


def _starts_with_digits(pattern: str) -> bool:
    """Whether a pattern announces numbers: outside brackets and repetitions it has no letter."""
    return re.search(r"[A-Za-z]", re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]|\{[^}]*\}", "", pattern)) is None


def _note(place: int, start: int, end: int, flags: int, found: Any) -> None:
    found.append(place)


def _kept_at(version: str, patterns: list[str]) -> Path:
    """Where the built engine is kept: named by patterns, version and machine, in the user's cache folder."""
    import hashlib
    import platform

    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where a user has none
    caches = os.environ.get("XDG_CACHE_HOME") or (os.devnull if home == "~" else f"{home}/.cache")
    folder = Path(caches) / "model-pipeline"
    built_of = "\0".join([version, platform.machine(), platform.processor(), *patterns])
    return folder / f"hyperscan-{hashlib.sha256(built_of.encode()).hexdigest()[:32]}.bin"


def _load(hyperscan: Any, kept: Path) -> Any:
    """The kept engine; None where there is none, or where somebody else could have written it."""
    try:
        found = kept.stat()
        if found.st_uid != os.getuid() or found.st_mode & 0o022:
            return None
        return hyperscan.loadb(kept.read_bytes(), hyperscan.HS_MODE_BLOCK)
    except (OSError, hyperscan.error):
        return None


def _keep(built: bytes, kept: Path) -> None:
    """Keep the engine for the next process; where the folder cannot be written, it is built again."""
    new = kept.with_name(f"{kept.name}.{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(built)
        new.replace(kept)
    except OSError:
        return


class Re2:
    """google-re2's set of patterns: about a third of hyperscan's speed, with wheels for more systems."""

    name = "re2"

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        import re2

        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.never_nl = False
        options.dot_nl = True
        options.log_errors = False
        options.max_mem = 256 * 1024 * 1024
        self._set = re2.Set.SearchSet(options)
        for pattern, _ in triggers:
            if self._set.Add(pattern.encode()) < 0:
                raise ConfigurationError(
                    "Building the detector: google-re2 refuses a pattern; write it without look-around and back-references."
                )
        self._set.Compile()
        self._families = [family for _, family in triggers]

    def families(self, data: bytes) -> set[int]:
        """See ``Engine``."""
        found = self._set.Match(b"\n%b\n" % data)
        return {self._families[place] for place in found} if found else _NOTHING


class Everything:
    """Neither engine is installed: every family is looked for everywhere; right, and slow."""

    name = "none"

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        self._families = {family for _, family in triggers}

    def families(self, data: bytes) -> set[int]:
        """See ``Engine``."""
        return self._families
