"""ULIDs, made in half a microsecond.

What belongs here: making them. What does not: checking them (the type ``Ulid`` of ``envelope``).
"""

from __future__ import annotations

import os

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


class UlidMaker:
    """Makes ULIDs of one process; not locked: the caller holds a lock or has it for itself.

    Within a millisecond they count upwards from a random number (the ULID specification's monotonic form),
    so that they sort in the order they were made; every new millisecond draws 80 random bits.
    """

    def __init__(self) -> None:
        self._millisecond = -1
        self._start = ""
        self._low = 0

    def next(self, millisecond: int) -> str:
        """The next ULID for an instant in milliseconds since 1970."""
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            drawn = int.from_bytes(os.urandom(10), "big")
            time_part = millisecond & 0xFFFF_FFFF_FFFF
            # 10 characters of time, 8 of the upper 40 random bits; the lower 40 bits leave room to count.
            self._start = _text(time_part >> 10 & 0xFF_FFFF_FFFF, 4) + _PAIRS[time_part & 1023]
            self._start += _text(drawn >> 40, 4)
            self._low = drawn & 0x7F_FFFF_FFFF
        else:
            self._low += 1
        low = self._low
        return (
            self._start
            + _PAIRS[low >> 30 & 1023]
            + _PAIRS[low >> 20 & 1023]
            + _PAIRS[low >> 10 & 1023]
            + _PAIRS[low & 1023]
        )


def _text(number: int, pairs: int) -> str:
    return "".join(_PAIRS[number >> 10 * place & 1023] for place in reversed(range(pairs)))
