"""What of an event may be written: its kind known, its body valid, its task drawn, nothing private in it.

What belongs here: the order of validation, sampling, halts and privacy's door. What does not: each of these
(``bodies``, ``controls``, ``door``), writing (``journal``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.capture.bodies import Prepared, Refused, encode, prepare, without, without_texts
from pipeline.capture.controls import Controls, draw
from pipeline.capture.door import Door
from pipeline.capture.kinds import Body, body_type
from pipeline.capture.processes import sound
from pipeline.capture.reports import EventQuarantined
from pipeline.capture.tally import Tallies

Admitted = tuple[str, bytes, bytes]
"""Kind, subject and body of what is to be written, the latter two as JSON."""

_TASKS_REMEMBERED = 10_000
_encode_text = msgspec.json.Encoder().encode
_NOTHING: frozenset[str] = frozenset()


class Admission:
    """Decides what is written of one process's events; everything it leaves out is counted."""

    def __init__(self, controls: Controls, door: Door | None, tallies: Tallies) -> None:
        self._controls, self._door, self._tallies = controls, door, tallies
        self._complexities: dict[str, str] = {}

    def admit(
        self, kind: str, subject: str, body: Body | Mapping[str, Any], complexity: str | None
    ) -> Admitted | None:
        """What is to be written, which may be a mark in the event's place; None where nothing is."""
        expected = body_type(kind)
        if expected is None:
            self._tallies.refuse("unregistered", "the kind is not registered")
            return None
        controls = self._controls
        controls.look()
        try:
            if not isinstance(subject, str) or not 0 < len(subject) <= 1000:
                raise Refused("its subject is no text of 1 to 1000 characters")
            left_out = self._sampled_out(kind, subject, complexity) if kind in controls.sampled else _NOTHING
            if left_out is None:
                return None
            prepared = prepare(expected, body)
            data, faults = prepared
            if faults or left_out or controls.halted:
                data = self._texts_left_out(expected, prepared, left_out)
        except Refused as reason:
            self._tallies.refuse(kind, str(reason))
            return None
        if kind == "task_received":
            self._remember(subject, data)
        named = _encode_text(subject if subject.isascii() else sound(subject))
        return (kind, named, data) if self._door is None else self._pass(kind, expected, named, data)

    def drawn(self, subject: str, name: str, complexity: str | None) -> bool:
        """Whether a task is drawn for a kind or kind.field."""
        self._controls.look()
        return draw(subject) < self._controls.rate(name, complexity or self._complexities.get(subject))

    def _sampled_out(self, kind: str, subject: str, complexity: str | None) -> frozenset[str] | None:
        """Names of fields that this task was not drawn for; None where the whole event was not."""
        complexity = complexity or self._complexities.get(subject)
        number = draw(subject)
        out = set()
        for field in self._controls.sampled[kind]:
            name = f"{kind}.{field}" if field else kind
            if number >= self._controls.rate(name, complexity):
                self._tallies.count("sampled_out", name)
                if not field:
                    return None
                out.add(field)
        return frozenset(out)

    def _texts_left_out(self, expected: type[Body], prepared: Prepared, fields: frozenset[str]) -> bytes:
        data, faults = prepared
        for fault in faults:
            self._tallies.fault(fault)
        if fields:
            data = without(expected, data, fields)
        if not self._controls.halted:
            return data
        with self._tallies.lock:
            self._tallies.period.dropped_text += 1
        return without_texts(expected, data)

    def _remember(self, subject: str, data: bytes) -> None:
        if len(self._complexities) >= _TASKS_REMEMBERED:
            self._complexities.clear()
        self._complexities[subject] = msgspec.json.decode(data, type=_Complexity).complexity

    def _pass(self, kind: str, expected: type[Body], subject: bytes, data: bytes) -> Admitted:
        """Through the door; what does not come through is replaced by a mark that says so."""
        assert self._door is not None
        passed = self._door.check(subject, data)
        if passed.status == "clean":
            return kind, subject, data
        body, status, reason = passed.body, passed.status, passed.reason
        if status == "changed":
            try:
                body, _ = prepare(expected, msgspec.json.decode(body))
            except (Refused, AttributeError):
                status, reason = "quarantined", "what was left after redaction is no body of its kind"
        with self._tallies.lock:
            if status == "quarantined":
                self._tallies.period.quarantined += 1
            else:
                self._tallies.period.redacted += 1
        if status == "quarantined":
            mark = EventQuarantined(event_kind=kind, reason=reason[:200], size_bytes=len(data))
            return "event_quarantined", passed.subject, encode(mark)
        return kind, passed.subject, body


class _Complexity(msgspec.Struct):
    """What sampling must remember of a task."""

    complexity: str = "standard"
