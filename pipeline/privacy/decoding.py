"""One level of decoding, with a map back: percent signs, HTML entities, escapes, hidden characters, base64.

What belongs here: the decoded text and where each of its characters came from. What does not: looking for
values in it; the detector does that with the same rules as anywhere else.

A base64 run of ASCII text is told from names, paths and hashes by its alphabet: each group of four
characters encodes three bytes below 0x80, which leaves 24 of 64 characters for the first place, 24 for
the second and 32 for the third (RFC 4648 section 4; printable bytes 0x20-0x7f).
"""

from __future__ import annotations

import binascii
import bisect
import re
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.privacy.folding import HIDDEN
from pipeline.privacy.lazily import lazy

_QUARTET = r"(?:[I-Za-f][C-HS-Xi-nyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_\-])"
BASE64_TRIGGER = _QUARTET.replace("(?:", "(") + "{4}"
ESCAPE_TRIGGERS = (
    r"%(40|2[EeBbDd]|3[0-9Dd]|[46][1-9a-fA-F]|[57][0-9aA])",
    r"[0-9]%20[0-9]{3}",
    r"(?i)[0-9][\[(](\.|dot)[\])][0-9]",
    r"(?i)&#(x[0-9a-f]{2,4}|[0-9]{2,5});",
    r"&(commat|period|plus|hyphen|colon|num|lowbar|equals|sol);",
    r"\\u00[2-7][0-9a-fA-F]",
    r"\\x[2-7][0-9a-fA-F]",
)

_ESCAPE = lazy(
    r"%(?P<percent>[0-9A-Fa-f]{2})|&#[xX](?P<hexadecimal>[0-9A-Fa-f]{1,5});|&#(?P<decimal>[0-9]{1,6});|&(?P<entity>[a-zA-Z]{2,8});"
    r"|\\u(?P<unicode>[0-9A-Fa-f]{4})|\\x(?P<byte>[0-9A-Fa-f]{2})|(?P<point>\[\.\]|\(\.\)|(?<=[0-9])[\[(]dot[\])](?=[0-9]))"
)
_ENTITIES = {
    "commat": "@", "period": ".", "plus": "+", "hyphen": "-", "dash": "-", "colon": ":", "num": "#", "lowbar": "_",
    "equals": "=", "sol": "/", "amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " ", "lpar": "(", "rpar": ")",
}  # fmt: skip
_HIDDEN = lazy("[" + "".join(sorted(HIDDEN)) + "]+")


class Decoded(NamedTuple):
    """A decoded text and, per piece of it, where the piece starts here, where it stood and how long it was there.

    Pieces alternate freely: a copied piece has the same length in both, a decoded one is a single character
    (or none, for what was dropped).
    """

    text: str
    starts: list[int]
    origins: list[int]
    lengths: list[int]
    copied: list[bool]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The span in the original."""
        first = bisect.bisect_right(self.starts, start) - 1
        last = bisect.bisect_right(self.starts, end - 1) - 1
        begin = self.origins[first] + (start - self.starts[first] if self.copied[first] else 0)
        finish = self.origins[last] + (end - self.starts[last] if self.copied[last] else self.lengths[last])
        return begin, finish


def decode_escapes(text: str) -> Decoded:
    """Percent signs, numeric and named entities, ``\\uXXXX`` and ``\\xXX`` replaced by what they stand for."""
    return _replace(text, _ESCAPE, _meaning)


def drop_hidden(text: str) -> Decoded:
    """The text without characters that have no width."""
    return _replace(text, _HIDDEN, lambda match: "")


def hidden_places(text: str, size: int) -> Iterator[tuple[int, int]]:
    """Pieces of the text around its hidden characters, each at most about twice ``size`` long."""
    done = 0
    for match in _HIDDEN.finditer(text):
        if match.start() >= done:
            done = match.end() + size
            yield max(0, match.start() - 512), done + 512


def _replace(text: str, pattern: re.Pattern[str], meaning: object) -> Decoded:
    decoded = Decoded("", [], [], [], [])
    pieces: list[str] = []
    here = done = 0

    def add(piece: str, origin: int, length: int, copied: bool) -> None:
        nonlocal here
        decoded.starts.append(here)
        decoded.origins.append(origin)
        decoded.lengths.append(length)
        decoded.copied.append(copied)
        pieces.append(piece)
        here += len(piece)

    for match in pattern.finditer(text):
        character = meaning(match)  # type: ignore[operator]
        if character is None:
            continue
        if match.start() > done:
            add(text[done : match.start()], done, match.start() - done, True)
        add(character, match.start(), match.end() - match.start(), False)
        done = match.end()
    add(text[done:], done, len(text) - done, True)
    return decoded._replace(text="".join(pieces))


def _meaning(match: re.Match[str]) -> str | None:
    kind, value = match.lastgroup, match[match.lastgroup or 0]
    if kind == "entity":
        return _ENTITIES.get(value)
    if kind == "point":
        return "."
    number = int(value, 10 if kind == "decimal" else 16)
    if kind in ("percent", "byte") and number >= 0x80:
        return "?"
    return chr(number) if 0x20 <= number < 0x110000 or number in (9, 10, 13) else None


_RUN = lazy(_QUARTET + "{4,}")
_TAIL = lazy(r"[A-Za-z0-9+/_\-]*={0,2}")
_HEAD_REVERSED = lazy(r"[A-Za-z0-9+/_\-]*")
_MEDIA = lazy(r"data:(?:image|audio|video|font)/[\w.+\-]{1,40};base64,\Z", re.IGNORECASE)
MOST_BASE64 = 200_000
"""Longest base64 text that is decoded, in characters."""


def base64_texts(text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Base64 of readable text with a run in the stretch: where it begins and ends, and what it says."""
    place = start
    while (run := _RUN.search(text, place, min(len(text), end + 64))) is not None and run.start() < end:
        head = _HEAD_REVERSED.match(text[max(0, run.start() - 4096) : run.start()][::-1])
        begin = run.start() - (head.end() if head else 0)
        tail = _TAIL.match(text, run.end(), run.end() + MOST_BASE64)
        finish = tail.end() if tail else run.end()
        place = max(run.end(), finish)
        aligned = begin + (run.start() - begin) % 4
        if _MEDIA.search(text[max(0, begin - 64) : begin]):
            continue
        decoded = _readable(text[aligned:finish])
        if decoded is not None:
            yield begin, finish, decoded


def may_encode(text: str) -> bool:
    """Whether any run in a short text is base64 of readable text; names and paths are told apart cheaply."""
    return next(base64_texts(text, 0, len(text)), None) is not None


def _readable(encoded: str) -> str | None:
    body = encoded.rstrip("=").replace("-", "+").replace("_", "/")
    body = body[: len(body) - 1] if len(body) % 4 == 1 else body
    decoded = binascii.a2b_base64(body + "=" * (-len(body) % 4))
    try:
        text = decoded.decode("utf-8")
    except UnicodeDecodeError as error:
        # A path or name may continue behind the encoded text; keep what is readable in front.
        if error.start < 12:
            return None
        text = decoded[: error.start].decode("utf-8")
    strange = sum(not (character.isprintable() or character in "\r\n\t") for character in text)
    return text if strange <= len(text) // 50 else None
