"""What a rule finds and how a rule is declared.

What belongs here: the shapes shared by every rule. What does not: any one rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """A value in a text: code point offsets, the end exclusive; a higher ``weight`` wins an overlap."""

    start: int
    end: int
    type: str
    rule: str
    weight: int = 50


class Finding(NamedTuple):
    """A value in a record: where it stands, never what it is.

    ``field`` is the path of the text inside the record (``messages[0].content``; ``…#key`` where the key
    itself holds the value); ``start`` and ``end`` are code point offsets into that text.
    """

    type: str
    field: str
    start: int
    end: int
    rule: str


LETTERS = "bcdfghjklmnpqrstvwxz"
"""Letters of tags and pseudonyms: no vowels, so no words; no digits, so no numbers to be found."""

LOOK_ALIKE = re.compile(
    rf"\[(?P<type>[A-Z][A-Z0-9_]{{1,40}})(?P<pseudonym>#[A-Za-z0-9\-]{{1,32}}\.[{LETTERS}]{{20}})?~(?P<tag>[{LETTERS}]{{8}})\]"
)
"""What looks like a placeholder; ``placeholders`` tells whether it is one."""

Finder = Callable[[str, int, int], Iterator[Span]]
"""Spans whose anchor lies in ``text[start:end]``; the whole text may be looked at around it."""


class Rule(NamedTuple):
    """One family of values: the patterns that announce it and the code that confirms it."""

    name: str
    triggers: tuple[str, ...]
    find: Finder
    may_hold: Callable[[str], bool] | None = None
    """Whether a short record written as JSON may hold a value of the family, told at a tenth of the price of
    taking it apart; True where in doubt. None where nothing is cheaper than looking."""


def any_found(find: Finder) -> Callable[[str], bool]:
    """The ``may_hold`` of a family whose values look the same in a record and in its JSON."""

    def may_hold(text: str) -> bool:
        return next(iter(find(text, 0, len(text))), None) is not None

    return may_hold


def before(text: str, place: int, count: int = 48) -> str:
    """Up to ``count`` characters before ``place``, in lower case: the context of a value."""
    return text[max(0, place - count) : place].lower()
