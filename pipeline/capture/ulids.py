"""ULIDs, made in a quarter of a microsecond.

What belongs here: making them. What does not: checking them (the type ``Ulid`` of ``envelope``).
"""

from __future__ import annotations

import os

_ALPHABET = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [bytes((first, second)) for first in _ALPHABET for second in _ALPHABET]
_DRAWN_AT_ONCE = 512


class UlidMaker:
    """Makes ULIDs of one process; not locked: the caller holds a lock or has it for itself.

    Within a millisecond they count upwards from a random number (the ULID specification's monotonic form),
    so that they sort in the order they were made; every new millisecond takes 80 random bits, drawn for
    many at once. A fork makes a maker of its own, so that it never continues its parent's draw.
    """

    def __init__(self) -> None:
        self._millisecond = -1
        self._start = b""
        self._high = 0
        self._low = 0
        self._drawn = b""
        self._place = 0

    def next(self, millisecond: int) -> bytes:
        """The next ULID (26 ASCII characters) for an instant in milliseconds since 1970."""
        if millisecond != self._millisecond:
            self._begin(millisecond)
        else:
            self._low += 1
            if self._low >> 20:
                self._high, self._low = self._high + 1 & 0xFFF_FFFF_FFFF_FFFF, 0
                self._start = _text(millisecond & 0xFFFF_FFFF_FFFF, 5) + _text(self._high, 6)
        low = self._low
        return self._start + _PAIRS[low >> 10] + _PAIRS[low & 1023]

    def _begin(self, millisecond: int) -> None:
        if self._place + 10 > len(self._drawn):
            self._drawn, self._place = os.urandom(10 * _DRAWN_AT_ONCE), 0
        drawn = int.from_bytes(self._drawn[self._place : self._place + 10], "big")
        self._place += 10
        self._millisecond = millisecond
        # The upper 60 random bits change only when the lower 20, which count, run over; their topmost bit
        # is cleared so that there is room to count upwards.
        self._high, self._low = drawn >> 20, drawn & 0x7_FFFF
        self._start = _text(millisecond & 0xFFFF_FFFF_FFFF, 5) + _text(self._high, 6)


def _text(number: int, pairs: int) -> bytes:
    return b"".join(_PAIRS[number >> 10 * place & 1023] for place in reversed(range(pairs)))
