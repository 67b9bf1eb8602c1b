"""What recorders are told while they run: how much to sample, and whether to drop texts.

What belongs here: reading and writing ``sampling.json``, reading ``halt.json``, drawing tasks. What does not:
deciding when to halt (the hour's alerts write the file), leaving fields out (``bodies``).

``sampling.json`` is ``{"rates": {"deep_analysis": 0.1, "deep_analysis.conversation": {"complex": 0.05}}}``: a
share of tasks, or one for each complexity (``default`` for the others, 0 where it is missing). A name is a
kind, or a kind and one of its fields. Both files are looked at once a second at most, so a change works
without a restart. While ``halt.json`` is there, whatever it holds, recorders leave all text fields out.

A task is drawn when the hash of its id, read as a number from 0 to 1, lies below the rate. So every
process draws the same tasks, and a smaller share lies within a larger one: tasks whose conversation is kept
are among those deeply analysed.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline.capture.kinds import body_type, registered_kinds
from pipeline.errors import ConfigurationError

SAMPLING_FILE = "sampling.json"
HALT_FILE = "halt.json"
LOOK_SECONDS = 1.0

Rate = float | dict[str, float]

DEFAULT_RATES: dict[str, Rate] = {
    "deep_analysis": 0.10,
    "evaluation_finished.judge_reasoning": 0.20,
    "deep_analysis.judge_reasoning": 0.20,
    "deep_analysis.conversation": {"complex": 0.05, "default": 0.0},
}
"""What is sampled where no file says otherwise; kinds and fields that are not named are always kept."""


class _File(msgspec.Struct):
    rates: dict[str, Rate]


class _OutOfRange(ValueError):
    """A rate that is no share."""


def _parse(data: bytes) -> dict[str, Rate]:
    rates = msgspec.json.decode(data, type=_File).rates
    for rate in rates.values():
        numbers = rate.values() if isinstance(rate, dict) else [rate]
        if not all(0 <= number <= 1 for number in numbers):
            raise _OutOfRange("holds a rate outside 0 to 1")
    return rates


def read_rates(directory: Path) -> dict[str, Rate]:
    """The rates in force for recorders of a spool: the defaults and what its ``sampling.json`` says.

    Raises ``ConfigurationError`` for a file that recorders cannot use either.
    """
    controls = Controls(directory)
    controls.look()
    if controls.problem:
        raise ConfigurationError(
            f"Reading the sampling of {directory}: {controls.problem}; mend the file or remove it."
        )
    return controls.rates


def write_rates(directory: Path, rates: Mapping[str, Rate]) -> None:
    """Put ``sampling.json`` in place, whole at once; recorders follow within a second.

    Raises ``ConfigurationError`` for a rate that is no number from 0 to 1 and for a name that is neither a
    registered kind nor one of its fields.
    """
    for name in rates:
        kind, _, field = name.partition(".")
        body = body_type(kind)
        if body is None or (field and field not in body.__struct_fields__):
            known = ", ".join(registered_kinds())
            raise ConfigurationError(
                f"Setting the sampling: {name!r} is neither a kind nor a kind and one of its fields "
                f"(kinds: {known}); use a name such as deep_analysis or deep_analysis.conversation."
            )
    data = msgspec.json.format(msgspec.json.encode({"rates": dict(rates)}))
    try:
        _parse(data)
    except _OutOfRange as error:
        raise ConfigurationError(f"Setting the sampling: it {error}; give shares of tasks.") from error
    directory.mkdir(parents=True, exist_ok=True)
    new = directory / f".{SAMPLING_FILE}.{os.getpid()}"
    new.write_bytes(data + b"\n")
    new.replace(directory / SAMPLING_FILE)


class Controls:
    """What the files of one spool say; cheap to ask before every event.

    ``problem`` is set while ``sampling.json`` cannot be used; the rates before it stay in force.
    """

    def __init__(self, directory: Path, rates: Mapping[str, Rate] | None = None) -> None:
        self._sampling = directory / SAMPLING_FILE
        self._halt = directory / HALT_FILE
        self._own = dict(DEFAULT_RATES if rates is None else rates)
        self._stamp: tuple[int, int] | None = None
        self._look_at = 0.0
        self.halted = False
        self.problem = ""
        self._set(self._own)

    def _set(self, rates: dict[str, Rate]) -> None:
        self.rates = rates
        fields: dict[str, tuple[str, ...]] = {}
        for name in rates:
            kind, _, field = name.partition(".")
            fields[kind] = (*fields.get(kind, ()), field)
        self.sampled = fields
        """For each kind that is sampled its fields; the kind itself is the empty name."""

    def look(self) -> None:
        """Read again what changed, if the last look was a second ago."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        self.halted = self._halt.exists()
        try:
            found = self._sampling.stat()
        except OSError:
            if self._stamp is not None:
                self._stamp, self.problem = None, ""
                self._set(self._own)
            return
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            self._stamp = stamp
            self._read()

    def _read(self) -> None:
        try:
            rates = _parse(self._sampling.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            why = str(error) if isinstance(error, _OutOfRange) else f"is malformed ({type(error).__name__})"
            self.problem = f"{SAMPLING_FILE} {why}: the rates before stay"
            return
        self.problem = ""
        self._set({**self._own, **rates})

    def rate(self, name: str, complexity: str | None) -> float:
        """The share of tasks of this complexity for a kind or kind.field; 1 where it is not sampled."""
        rate = self.rates.get(name, 1.0)
        if isinstance(rate, dict):
            return rate.get(complexity or "standard", rate.get("default", 0.0))
        return rate


def draw(subject: str) -> float:
    """The task's number from 0 (included) to 1: BLAKE2b-64 of its id; the same everywhere."""
    digest = hashlib.blake2b(subject.encode("utf-8", "replace"), digest_size=8, person=b"sampling").digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
