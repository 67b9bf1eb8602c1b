"""Private data and secrets in a text or a record, found at the speed of an event.

What belongs here: the ``Detector``: one pass of a multi-pattern engine names the families a text may
hold, the families' rules confirm them. What does not: acting on what is found (``acting``), policies.

This module lives in other people's processes: it and all it imports need neither Dagster, DuckDB, Polars,
Pandera nor pydantic, and heavy things are loaded by the first text that needs them. Names of persons,
addresses and organisations need a language model and are not found here (``names``).
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.errors import PipelineError
from pipeline.privacy import (
    assigned,
    commands,
    contacts,
    network,
    numbers,
    phones,
    providers,
    secrets,
    wallets,
)
from pipeline.privacy.decoding import (
    BASE64_TRIGGER,
    ESCAPE_TRIGGERS,
    Decoded,
    base64_texts,
    decode_escapes,
    drop_hidden,
    hidden_places,
    may_encode,
)
from pipeline.privacy.engine import Engine, build, view
from pipeline.privacy.folding import fold
from pipeline.privacy.found import LOOK_ALIKE, Finding, Rule, Span
from pipeline.privacy.records import LIST_TRIGGER, Leaf, context_of, leaves, may_list
from pipeline.privacy.settling import settle

__all__ = ["DEADLINE_SECONDS", "Detector", "Finding", "Rule", "ScanError", "Span", "default_detector"]

DEADLINE_SECONDS = 1.0
"""Longest time one record may take unless the caller says otherwise."""

LARGEST_TEXT = 8_000_000
"""Longest text or serialised record that is scanned, in characters."""

_STRETCH = 4096
_LEAD, _BACK, _TAIL = 64, 256, 512

RULES: tuple[Rule, ...] = (
    *contacts.RULES,
    *numbers.RULES,
    *network.RULES,
    *phones.RULES,
    *wallets.RULES,
    *secrets.RULES,
    *assigned.RULES,
    *commands.RULES,
    *providers.RULES,
)
_ESCAPES, _BASE64, _LISTS = -1, -2, -3
_MAY_HOLD = {_BASE64: may_encode, _LISTS: may_list}


class ScanError(PipelineError):
    """A record could not be scanned to its end; it must be kept apart and never be passed on."""


class Detector:
    """Finds private data and secrets; safe to share between threads.

    ``custom`` rules join the built-in ones, ``engine`` names the engine (hyperscan, re2, none; the fastest
    installed by default), ``deadline_seconds`` bounds one record.
    """

    def __init__(
        self,
        custom: Sequence[Rule] = (),
        *,
        engine: str | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self.rules = (*RULES, *custom)
        self.deadline_seconds = deadline_seconds
        self._engine_name = engine

    @functools.cached_property
    def engine(self) -> Engine:
        """The engine, built on first use (about a tenth of a second)."""
        triggers = [(pattern, place) for place, rule in enumerate(self.rules) for pattern in rule.triggers]
        triggers += [(pattern, _ESCAPES) for pattern in ESCAPE_TRIGGERS] + [(BASE64_TRIGGER, _BASE64)]
        triggers.append((LIST_TRIGGER, _LISTS))
        return build(triggers, self._engine_name)

    def scan_text(self, text: str, field: str = "text") -> list[Finding]:
        """What one text holds, in order; raises ``ScanError`` past the deadline or the size bound."""
        spans = self._spans(text, self._deadline(len(text)))
        return [Finding(span.type, field, span.start, span.end, span.rule) for span in spans]

    def scan_record(self, record: Any) -> list[Finding]:
        """What the keys and values of a record of plain values hold, however deep; otherwise as ``scan_text``."""
        try:
            text = _encoded(record)
        except (ValueError, TypeError, RecursionError) as error:
            raise ScanError(
                f"Scanning a record: it cannot be read to its end ({type(error).__name__}); keep it apart."
            ) from error
        deadline = self._deadline(len(text))
        return self._scan_leaves(record, deadline) if self._announced(_unescaped(text), deadline) else []

    def scan_json(self, line: str | bytes) -> list[Finding]:
        """What one record written as JSON holds, without parsing it where nothing announces a value.

        A line that is no JSON is scanned as a text.
        """
        if len(line) <= _STRETCH and line.isascii():
            # Nearly every event of an agent ends here: nothing is decoded, folded or timed.
            data = line if isinstance(line, bytes) else line.encode()
            if b"\\" not in data:
                families = self.engine.families(data)
                if not families or not self._may_hold(data.decode(), families):
                    return []
        text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
        deadline = self._deadline(len(text))
        if "\\u" not in text and not self._announced(_unescaped(text) if "\\" in text else text, deadline):
            return []
        try:
            record = json.loads(text)
        except json.JSONDecodeError:
            return self.scan_text(text)
        except RecursionError as error:
            raise ScanError("Scanning a record: it is nested too deep to be read; keep it apart.") from error
        except ValueError as error:
            raise ScanError(
                "Scanning a record: it holds an integer of more digits than Python reads; keep it apart."
            ) from error
        return self._scan_leaves(record, deadline)

    def _deadline(self, length: int) -> float:
        if length > LARGEST_TEXT:
            raise ScanError(
                f"Scanning a record: it holds {length:,} characters and at most {LARGEST_TEXT:,} are scanned; keep it apart."
            )
        self.engine  # noqa: B018 - building it once must not count against the first record
        return time.perf_counter() + self.deadline_seconds

    def _announced(self, text: str, deadline: float) -> bool:
        """Whether anything in the text announces a family; hidden characters announce all of them."""
        folded, hidden = fold(text)
        if hidden:
            return True
        data = view(folded)
        if len(data) <= _STRETCH:
            return self._may_hold(folded, self.engine.families(data))
        return any(True for _ in self._stretches(data, deadline))

    def _may_hold(self, text: str, families: set[int]) -> bool:
        """Whether a short text may hold a value of a family that hashes, dates and names announce by chance."""
        for family in families:
            may_hold = self.rules[family].may_hold if family >= 0 else _MAY_HOLD.get(family)
            if may_hold is None or may_hold(text):
                return True
        return False

    def _stretches(self, data: bytes, deadline: float) -> Iterator[tuple[int, int, set[int]]]:
        """Stretches of the text in which something is announced."""
        families = self.engine.families
        if len(data) <= _STRETCH + _TAIL:
            found = families(data)
            if found:
                yield 0, len(data), found
            return
        for start in range(0, len(data), _STRETCH):
            end = start + _STRETCH
            found = families(data[max(0, start - _LEAD) : end + _TAIL])
            if found:
                _check(deadline)
                yield start, min(end, len(data)), found

    def _scan_leaves(self, record: Any, deadline: float) -> list[Finding]:
        findings: list[Finding] = []
        for leaf in leaves(record, lambda key: self.shown_key(key, deadline)):
            findings.extend(
                Finding(span.type, leaf.field, span.start, span.end, span.rule)
                for span in self.leaf_spans(leaf, deadline)
            )
        return findings

    def shown_key(self, key: str, deadline: float | None = None) -> str:
        """A key as paths show it: what it holds is replaced by its type."""
        shown, done = "", 0
        for span in self._spans(key, deadline or self._deadline(len(key))):
            if span.start >= done:
                shown += f"{key[done : span.start]}<{span.type}>"
                done = span.end
        shown += key[done:]
        # Paths are printed and stored, which half of a surrogate pair cannot be.
        return shown if shown.isascii() else shown.encode("utf-8", "backslashreplace").decode()

    def leaf_spans(self, leaf: Leaf, deadline: float | None = None) -> list[Span]:
        """The spans of one text of a record, its key being part of their context."""
        deadline = deadline or self._deadline(len(leaf.text))
        if "~" in leaf.key:
            leaf = leaf._replace(key=LOOK_ALIKE.sub("", leaf.key))  # a placeholder in a key is no context
        context = context_of(leaf)
        if not context:
            return self._spans(leaf.text, deadline)
        shift = len(context)
        spans = [
            span._replace(start=span.start - shift, end=span.end - shift)
            for span in self._spans(context + leaf.text, deadline)
            if span.start >= shift
        ]
        value = leaf.text.strip()
        if not spans and assigned.is_secret_name(leaf.key) and assigned.secret_value(leaf.key, value):
            begin = leaf.text.find(value)
            spans = [Span(begin, begin + len(value), "SECRET", "key_name")]
        return spans

    def _spans(self, text: str, deadline: float, depth: int = 0) -> list[Span]:
        folded, hidden = fold(text)
        spans: list[Span] = []
        for start, end, families in self._stretches(view(folded), deadline):
            for family in families:
                if family >= 0:
                    spans.extend(self.rules[family].find(folded, start, end))
                    _check(deadline)
                elif family == _BASE64 and not depth:
                    spans.extend(self._encoded(folded, start, end, deadline))
                elif family == _ESCAPES and not depth:
                    low = max(0, start - _BACK)
                    piece = decode_escapes(folded[low : end + _TAIL])
                    spans.extend(self._decoded(piece, low, "escaped", deadline))
        if hidden and not depth:
            for low, high in hidden_places(text, _STRETCH):
                spans.extend(self._decoded(drop_hidden(text[low:high]), low, "hidden", deadline))
        return settle(spans) if spans else spans

    def _decoded(self, decoded: Decoded, shift: int, how: str, deadline: float) -> Iterator[Span]:
        for span in self._spans(decoded.text, deadline, 1):
            start, end = decoded.origin(span.start, span.end)
            # What was found as it stands wins the tie; what only decoding shows is added.
            yield span._replace(
                start=start + shift, end=end + shift, rule=f"{span.rule}/{how}", weight=span.weight - 1
            )

    def _encoded(self, text: str, start: int, end: int, deadline: float) -> Iterator[Span]:
        for begin, finish, decoded in base64_texts(text, start, end):
            types: dict[str, Span] = {}
            for span in self._spans(decoded, deadline, 1):
                types.setdefault(span.type, span)
            for span in types.values():
                yield span._replace(start=begin, end=finish, rule=f"{span.rule}/base64")


@functools.cache
def default_detector() -> Detector:
    """The detector with built-in rules only, one for the process."""
    return Detector()


def _check(deadline: float) -> None:
    if time.perf_counter() > deadline:
        raise ScanError(
            "Scanning a record: its time ran out; keep it apart, or raise the deadline in configs/privacy.yaml."
        )


def _as_text(value: Any) -> str:
    """A value that JSON does not know; one that says why a record could not be read is raised."""
    if isinstance(value, ScanError):
        raise value
    return str(value)


_encode = json.JSONEncoder(ensure_ascii=False, default=_as_text).encode


def _encoded(record: Any) -> str:
    """The record as JSON; what orjson refuses (large numbers, lone surrogates, great depth) takes the slower way."""
    import orjson  # loaded by the first record

    try:
        return orjson.dumps(record, _as_text, orjson.OPT_NON_STR_KEYS).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return _encode(record)


def _unescaped(text: str) -> str:
    """Serialised JSON with its escapes made apart from the letters around them; good enough to announce."""
    if "\\" not in text:
        return text
    return (
        text.replace("\\\\", "\\")
        .replace("\\n", " \n")
        .replace("\\r", " \n")
        .replace("\\t", " \t")
        .replace('\\"', '"')
        .replace("\\/", "/")
        .replace("\\b", " ")
        .replace("\\f", " ")
        .replace("\\u0000", "\x00")
    )
