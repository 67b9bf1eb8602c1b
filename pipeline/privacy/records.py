"""The texts of a record: every key and value, however deep, with the path that leads to it.

What belongs here: walking plain values and naming places. What does not: looking for anything in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pipeline.privacy.lazily import lazy

_PLAIN = lazy(r"[\w\-]+\Z")

# Keys whose name changes what a value is: read in front of the value, they are its context.
_TELLING = lazy(
    r"phone|mobile|(?:^|[_\W])tel|fax|cell|ssn|social|tax|version|build|ver$|solana|wallet|secret|token|passw|pwd|key|auth|credential|"
    r"pass|cookie|session|csrf|hash|sha|digest|commit|etag|(?:^|_)id$|contact",
    re.IGNORECASE,
)


class Leaf(NamedTuple):
    """One text of a record: its path, the nearest key above it, and the text itself."""

    field: str
    key: str
    text: str


def leaves(record: Any, shown: Callable[[str], str]) -> Iterator[Leaf]:
    """Every text in document order; ``shown`` says how a key may stand in a path.

    The text of a key comes before its value, under the value's path and ``#key``. Numbers count as text
    where they have seven digits or more; a fraction never does.
    """
    stack: list[tuple[str, str, Any]] = [("", "", record)]
    while stack:
        path, key, value = stack.pop()
        if isinstance(value, str):
            yield Leaf(path or "text", key, value)
        elif isinstance(value, dict):
            below = []
            for name, part in value.items():
                name_text = name if isinstance(name, str) else str(name)
                place = step(path, shown(name_text))
                yield Leaf(place + "#key", "", name_text)
                below.append((place, name_text, part))
            stack.extend(reversed(below))
        elif isinstance(value, list | tuple):
            stack.extend((f"{path}[{place}]", key, part) for place, part in reversed(list(enumerate(value))))
        elif isinstance(value, bytes):
            yield Leaf(path or "text", key, value.decode("utf-8", "replace"))
        elif value is not None and not isinstance(value, bool | float):
            text = str(value)
            if len(text) >= 7:
                yield Leaf(path or "text", key, text)
        elif isinstance(value, float) and abs(value) >= 1e8 and value.is_integer():
            yield Leaf(path or "text", key, str(int(value)))


LIST_TRIGGER = r"(?i)(phone|mobile|tel|fax|cell|ssn|social|wallet|secret|token|passw|pwd|key|auth|credential|contact)[\w\-]*\"\s?:\s?\["
"""Announces, in a record's JSON, a key whose name is the context of every value of its list."""
_LISTED = lazy(
    r"(?P<name>phone|mobile|tel|fax|cell|ssn|social|wallet|secret|token|passw|pwd|key|auth|credential|contact)[\w\-]*\"\s?:\s?\[(?P<values>[^\]]*)",
    re.IGNORECASE,
)
_LISTED_PASSWORD = lazy(r"\"[^\"]{5}")
_LISTED_VALUE = lazy(r"\"[^\"]*[^\"a-z_\-. ][^\"]*\"|[0-9]{7}|[A-Za-z]{20}")


def may_list(text: str) -> bool:
    """See ``Rule.may_hold``: whether such a list holds more than words in small letters; a password may be one."""
    return any(
        (_LISTED_PASSWORD if match["name"].lower().startswith("p") else _LISTED_VALUE).search(match["values"])
        is not None
        for match in _LISTED.finditer(text)
    )


def step(path: str, name: str) -> str:
    """The path of ``name`` below ``path``; a name with other characters than words have is quoted."""
    if not _PLAIN.match(name):
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'{path}["{quoted}"]'
    return f"{path}.{name}" if path else name


def context_of(leaf: Leaf) -> str:
    """What to read in front of a value so that its key counts as context; empty where it changes nothing."""
    return f"{leaf.key}: " if leaf.key and len(leaf.text) <= 4096 and _TELLING.search(leaf.key) else ""
