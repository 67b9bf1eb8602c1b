"""What happens to what was found: redacted, pseudonymised, dropped or quarantined, as a policy says.

What belongs here: applying decisions to records. What does not: reading policies from a file
(``pipeline.settings.privacy``). Like ``detect`` this module is light enough for other people's processes.

The rule of the house: a record either comes back clean, scanned again after the change, or not at all.
"""

from __future__ import annotations

import fnmatch
import functools
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.errors import ConfigurationError
from pipeline.privacy.detect import Detector, Finding, ScanError, Span
from pipeline.privacy.found import LOOK_ALIKE
from pipeline.privacy.placeholders import Part, parse, pseudonym, render
from pipeline.privacy.records import Leaf, step

ACTIONS = ("quarantine", "drop", "redact", "pseudonymise", "keep")
"""From the strictest: where finds overlap, the strictest action of theirs is taken."""

SHORTEST_KEY = 16
_ROUNDS = 4


class PolicyRule(NamedTuple):
    """One line of a policy; ``*`` and ``?`` in surface, field and type match anything and any character."""

    action: str
    surface: str = "*"
    field: str = "*"
    type: str = "*"
    recipient: str | None = None


class Key(NamedTuple):
    """A recipient's secret key and the id that pseudonyms show."""

    id: str
    secret: bytes


class Outcome(NamedTuple):
    """What became of a record: ``clean`` (nothing found), ``changed`` or ``quarantined`` (no record, a reason)."""

    status: str
    record: Any
    findings: tuple[Finding, ...]
    actions: tuple[str, ...]
    reason: str = ""


class Quarantined(Exception):
    """The record must be kept apart."""


class Redactor:
    """Applies a policy for one surface and, for pseudonyms, one recipient.

    The first rule that matches surface, field and type decides; where none does, a find is redacted.
    ``placeholder_key`` makes placeholders recognisable to later runs; without one, only this process
    recognises them.
    """

    def __init__(
        self,
        detector: Detector,
        rules: Sequence[PolicyRule] = (),
        *,
        surface: str = "default",
        recipient: str | None = None,
        keys: Mapping[str, Key] | None = None,
        placeholder_key: bytes | None = None,
    ) -> None:
        self._detector = detector
        self._rules = tuple(rule for rule in rules if fnmatch.fnmatchcase(surface, rule.surface))
        self._recipient = recipient
        self._keys = dict(keys or {})
        self._placeholder_key = placeholder_key or os.urandom(32)
        self._decide = functools.lru_cache(4096)(self._first_rule)
        for key in self._keys.values():
            if len(key.secret) < SHORTEST_KEY:
                raise ConfigurationError(
                    f"Pseudonymising: the key {key.id} has fewer than {SHORTEST_KEY} bytes; give it a longer random value."
                )

    def action(self, finding: Finding) -> str:
        """What the policy does with one find."""
        return self._decide(finding.field, finding.type).action

    def apply(self, record: Any) -> Outcome:
        """The record as it may be passed on; never raises for what a record holds."""
        try:
            findings = tuple(self._detector.scan_record(record))
            actions = tuple(self.action(finding) for finding in findings)
            changed = self._changed(record, bool(findings))
        except (ScanError, Quarantined, RecursionError) as error:
            reason = (
                str(error)
                if isinstance(error, ScanError | Quarantined)
                else "it is nested too deep to be read"
            )
            return Outcome("quarantined", None, (), (), reason)
        if not findings and changed is record:
            return Outcome("clean", record, (), ())
        return Outcome("changed", changed, findings, actions)

    def apply_json(self, line: bytes) -> tuple[bytes, Outcome]:  # noqa: PLR0911
        """One record written as JSON: the same bytes where it is clean, new ones otherwise, none if quarantined.

        The outcome of a clean line holds no record; that of a changed one does. A line that is no JSON is a text.
        """
        try:
            if b"~" not in line and b"\\u" not in line and not self._detector.scan_json(line):
                return line, _CLEAN
            record = json.loads(line)
        except ScanError as error:
            return b"", Outcome("quarantined", None, (), (), str(error))
        except RecursionError:
            return b"", Outcome("quarantined", None, (), (), "it is nested too deep to be read")
        except ValueError:
            outcome = self.apply(line.decode("utf-8", "replace"))
            if outcome.status == "clean":
                return line, outcome
            return (outcome.record or "").encode("utf-8", "replace"), outcome
        outcome = self.apply(record)
        if outcome.status == "clean":
            return line, outcome
        if outcome.status == "quarantined":
            return b"", outcome
        return json.dumps(outcome.record, default=str).encode(), outcome

    def _changed(self, record: Any, found: bool) -> Any:
        if not found and not self._looks_alike(record):
            return record
        for _ in range(_ROUNDS):
            # Where nothing was found, only look-alikes of placeholders are to be defused.
            record = self._value(record, "", "", found)
            if record is _DROPPED:
                return None
            left = self._detector.scan_record(record)
            if all(self.action(finding) == "keep" for finding in left):
                return record
            found = True
        raise Quarantined("it still holds finds after it was redacted")

    @staticmethod
    def _looks_alike(record: Any) -> bool:
        # Cheap: without these two characters there is no placeholder to verify.
        text = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False, default=str)
        return "~" in text and LOOK_ALIKE.search(text) is not None

    def _value(self, value: Any, path: str, key: str, find: bool) -> Any:
        if isinstance(value, str):
            return self._text(value, path or "text", key, find)
        if isinstance(value, Mapping):
            return self._mapping(value, path, find)
        if isinstance(value, list | tuple):
            parts = [self._value(part, f"{path}[{place}]", key, find) for place, part in enumerate(value)]
            return [None if part is _DROPPED else part for part in parts]
        if isinstance(value, bytes):
            return self._text(value.decode("utf-8", "replace"), path or "text", key, find)
        if value is None or isinstance(value, bool):
            return value
        text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        changed = (
            self._text(text, path or "text", key, find) if len(text) >= 7 and _is_text_like(value) else text
        )
        return value if changed == text else changed

    def _mapping(self, value: Mapping[Any, Any], path: str, find: bool) -> dict[Any, Any]:
        changed: dict[Any, Any] = {}
        for name, part in value.items():
            name_text = name if isinstance(name, str) else str(name)
            place = step(path, self._detector.shown_key(name_text))
            new_name = self._text(name_text, place + "#key", "", find)
            new_part = self._value(part, place, name_text, find)
            if new_part is _DROPPED or new_name is _DROPPED:
                continue
            count = 2
            final = new_name if new_name != name_text else name
            while final in changed:
                # Two keys that read alike once redacted stay apart; their tags cover the number.
                final = render(
                    [*parse(str(new_name), self._placeholder_key), f" {count}"], self._placeholder_key
                )
                count += 1
            changed[final] = new_part
        return changed

    def _text(self, text: str, field: str, key: str, find: bool) -> Any:
        found = self._detector.leaf_spans(Leaf(field, key, text)) if find else []
        spans = [span for span in found if self._acted_on(field, span)]
        if not spans:
            if "~" not in text:
                return text
            return render(parse(text, self._placeholder_key), self._placeholder_key)
        decisions = {self._decide(field, span.type).action for span in spans}
        if "quarantine" in decisions:
            raise Quarantined(f"the policy quarantines what was found in {field}")
        if "drop" in decisions:
            return _DROPPED
        changed = render(self._parts(text, field, spans), self._placeholder_key)
        return changed if not _was_json(text) or _is_json(changed) else self._nested(text, field, key)

    def _nested(self, text: str, field: str, key: str) -> str:
        """JSON held in a text, changed value by value because cutting it would have broken it."""
        changed = self._value(json.loads(text), field, key, True)
        return json.dumps(None if changed is _DROPPED else changed, ensure_ascii=False)

    def _acted_on(self, field: str, span: Span) -> bool:
        return self._decide(field, span.type).action != "keep"

    def _parts(self, text: str, field: str, spans: list[Span]) -> list[Part]:
        """The text cut into pieces and placeholders: genuine ones stay, look-alikes are defused."""
        parts: list[Part] = []
        place = 0
        groups = _groups(spans)
        for part in parse(text, self._placeholder_key):
            if not isinstance(part, str):
                parts.append(part)
                place += len(f"[{part[0]}{part[1]}~") + 9
                continue
            done = 0
            for group in groups:
                start = max(done, group[0].start - place)
                end = max(span.end for span in group) - place
                if end <= done or start >= len(part):
                    continue
                parts += [part[done:start], self._replacement(part[start:end], field, group)]
                done = min(end, len(part))
            parts.append(part[done:])
            place += len(part)
        return parts

    def _replacement(self, value: str, field: str, group: list[Span]) -> Part:
        widest = max(group, key=lambda span: (span.end - span.start, span.weight))
        rules = [self._decide(field, span.type) for span in group]
        rule = min(rules, key=lambda rule: ACTIONS.index(rule.action))
        if rule.action != "pseudonymise":
            return (widest.type, "")
        recipient = rule.recipient or self._recipient
        key = self._keys.get(recipient or "")
        if key is None:
            raise ConfigurationError(
                f"Pseudonymising {widest.type}: there is no key for the recipient {recipient or '(none named)'}; "
                "name the recipient, and set the environment variable that configs/privacy.yaml gives it."
            )
        return (widest.type, pseudonym(value, widest.type, key.secret, key.id))

    def _first_rule(self, field: str, kind: str) -> PolicyRule:
        for rule in self._rules:
            if fnmatch.fnmatchcase(field, rule.field) and fnmatch.fnmatchcase(kind, rule.type):
                return rule
        return PolicyRule("redact")


_DROPPED = object()
_CLEAN = Outcome("clean", None, (), ())


def _groups(spans: list[Span]) -> list[list[Span]]:
    groups: list[list[Span]] = []
    reach = -1
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if groups and span.start < reach:
            groups[-1].append(span)
        else:
            groups.append([span])
        reach = max(reach, span.end)
    return groups


def _is_text_like(value: Any) -> bool:
    return not isinstance(value, float) or (abs(value) >= 1e8 and value.is_integer())


def _was_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[") and _is_json(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
