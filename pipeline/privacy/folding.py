"""Characters that only look different: each is replaced by one ASCII character, so offsets stay as they are.

What belongs here: digits of every script, full-width forms, letters of other scripts drawn like Latin
ones, dashes and spaces. What does not: decoding that changes lengths (``decoding``).
"""

from __future__ import annotations

import functools

_ASCII = bytes(range(128))

# First digit of each decimal-digit run of the Unicode 15 category Nd within the planes people type in.
_ZEROS = (
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0,
    0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x11066, 0x1D7CE, 0x1D7D8,
    0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1FBF0,
)  # fmt: skip

# Unicode confusables (UTS 39) of Latin letters that a mail address or a key may hide behind.
_LETTERS = dict(
    zip(
        "аеорсухіјѕһԁԛԝѵАВЕКМНОРСТХІЈЅҮοαντυρικΑΒΕΖΗΙΚΜΝΟΡΤΥΧɡıⅼ",
        "aeopcyxijshdqwvABEKMHOPCTXIJSYoavtupikABEZHIKMNOPTYXgil",
        strict=True,
    )
)
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63"
_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_POINTS = {"\u3002": ".", "\uff61": ".", "\u2024": ".", "\u00b7": "."}
_CIRCLED = {chr(0x2460 + value): str(value + 1) for value in range(9)} | {"\u24ea": "0"}
_RAISED = {character: str(value) for value, character in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_LOWERED = {chr(0x2080 + value): str(value) for value in range(10)}

HIDDEN = frozenset(
    "\x00\u200b\u200c\u200d\u2060\ufeff\u180e\u200e\u200f\u061c\u00ad\u034f\u202a\u202b\u202c\u202d\u202e"
)
"""NUL and characters without width that may stand inside a value to break it up."""


@functools.cache
def table() -> dict[str, str]:
    """Every character that is folded, and the ASCII character it becomes."""
    folded = {chr(zero + value): str(value) for zero in _ZEROS for value in range(10)}
    folded |= {chr(0xFF01 + value): chr(0x21 + value) for value in range(94)}
    folded |= dict.fromkeys(_DASHES, "-") | dict.fromkeys(_SPACES, " ")
    # Mathematical alphanumerics, thirteen alphabets of 52 letters one after another.
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    folded |= {chr(0x1D400 + place): letters[place % 52] for place in range(52 * 13)}
    return folded | _LETTERS | _POINTS | _CIRCLED | _RAISED | _LOWERED


@functools.cache
def _translation() -> dict[int, str]:
    return {ord(character): ascii_ for character, ascii_ in table().items()}


@functools.cache
def _foldable() -> frozenset[str]:
    return frozenset(table())


def fold(text: str) -> tuple[str, bool]:
    """``text`` with look-alikes replaced one for one, and whether it holds hidden characters."""
    if text.isascii():
        return text, "\x00" in text  # UTF-16 without its mark puts one behind every letter
    # Only the characters beyond ASCII are looked at: bytes.translate drops the others at memory speed.
    beyond = set(text.encode("utf-8", "replace").translate(None, _ASCII).decode("utf-8", "replace"))
    hidden = not HIDDEN.isdisjoint(beyond) or "\x00" in text
    found = beyond & _foldable()
    if len(found) > 8:
        return text.translate(_translation()), hidden
    for character in found:
        text = text.replace(character, table()[character])
    return text, hidden
