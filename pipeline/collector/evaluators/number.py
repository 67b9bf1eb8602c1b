"""Numbers: which number an answer ends in, and whether it is the expected one."""

from __future__ import annotations

import functools
import re
from decimal import Decimal
from fractions import Fraction

from pipeline.collector.evaluators.base import Evaluator, Judged, readable_end
from pipeline.errors import InputError

_PLAIN = r"(?:\d{1,3}(?:[,\u202f\u00a0']\d{3})+(?![\d])|\d{1,40})(?:\.\d{1,40})?|\.\d{1,40}"
_NUMBER = re.compile(
    rf"(?P<fraction>\\d?frac\{{\s*(?P<over>-?\d{{1,20}})\s*\}}\{{\s*(?P<under>\d{{1,20}})\s*\}})"
    rf"|(?P<number>{_PLAIN})(?:[eE](?P<power>[+-]?\d{{1,3}})(?!\w))?"
    r"(?:\s?/\s?(?P<denominator>\d{1,20})(?![\d./]))?(?:\s?(?P<percent>\\?%))?"
)
_MARKED = (
    re.compile(r"####[ \t]*([^\n]{1,200})"),
    re.compile(r"\\boxed\{([^{}]{0,200}(?:\{[^{}]{0,100}\}[^{}]{0,100}){0,4})\}"),
    re.compile(r"(?i)\banswer\b(?:\s+is)?\s{0,3}[:=]?\s{0,3}([^\n]{1,200})"),
)
_MINUS = "-−–"
_POWERS = 300
_THOUSANDS = re.compile(r"[,\u202f\u00a0']")


class Number(Evaluator):
    """The number behind the last ``####``, in the last ``\\boxed{}``, after the last "answer", else the
    last one.

    Reads signs, thousands signs, decimals, powers of ten, fractions and percent (a percent equals its
    number or, where ``percent`` is "value", its hundredth). ``tolerance`` is the absolute,
    ``relative_tolerance`` the relative difference still counted as equal.
    """

    name = "number"

    def __init__(
        self, tolerance: float = 1e-6, relative_tolerance: float = 0.0, percent: str = "number"
    ) -> None:
        if percent not in {"number", "value"}:
            raise ValueError(f"percent is {percent!r}, and must be number or value")
        if tolerance < 0 or relative_tolerance < 0:
            raise ValueError("a tolerance is negative")
        self._absolute = Fraction(str(tolerance))
        self._relative = Fraction(str(relative_tolerance))
        self._hundredth = percent == "value"
        # A target is read when its row is checked, asked and judged.
        self._target = functools.lru_cache(maxsize=4096)(self._read)

    def judge(self, answer: str, target: str | None) -> Judged:
        """1 where the number read equals the target within the tolerances."""
        found = self._read(readable_end(answer))
        expected = self._target(target or "")
        if found is None or expected is None:
            return Judged(None if found is None else found[0], 0.0)
        difference = abs(found[1] - expected[1])
        allowed = max(self._absolute, self._relative * abs(expected[1]))
        return Judged(found[0], 1.0 if difference <= allowed else 0.0)

    def check_target(self, target: str | None) -> None:
        """The target holds a number."""
        super().check_target(target)
        if self._target(target or "") is None:
            raise InputError(f"the target {(target or '')[:60]!r} holds no number")

    def _read(self, text: str) -> tuple[str, Fraction] | None:
        for mark in _MARKED:
            marked = mark.findall(text)
            if marked:
                numbers = self._numbers(marked[-1])
                if numbers:
                    # Behind a mark the answer comes first ("18 dollars, that is 3 times 6").
                    return numbers[0] if mark is not _MARKED[2] else numbers[-1]
        numbers = self._numbers(text)
        return numbers[-1] if numbers else None

    def _numbers(self, text: str) -> list[tuple[str, Fraction]]:
        read = []
        for found in _NUMBER.finditer(text):
            before = text[found.start() - 1] if found.start() else ""
            if before.isalpha() or before == "_":
                continue  # the 3 of x3 or H_3 is part of a name
            value = _value(found, self._hundredth)
            if value is not None:
                negative = _is_negative(text, found.start())
                read.append(
                    (("-" if negative else "") + found.group(0).strip(), -value if negative else value)
                )
        return read


def _is_negative(text: str, start: int) -> bool:
    before = text[max(0, start - 3) : start].rstrip("$€£ ")
    if not before or before[-1] not in _MINUS:
        return False
    earlier = before[:-1]
    return not earlier or not (earlier[-1].isalnum() or earlier[-1] in ")]")


def _value(found: re.Match[str], hundredth: bool) -> Fraction | None:
    if found.group("fraction"):
        under = int(found.group("under"))
        return Fraction(int(found.group("over")), under) if under else None
    digits = _THOUSANDS.sub("", found.group("number"))
    value = Fraction(int(digits)) if digits.isdecimal() else Fraction(Decimal(digits))
    power = found.group("power")
    if power is not None:
        if abs(int(power)) > _POWERS:
            return None
        value *= Fraction(10) ** int(power)
    if found.group("denominator"):
        under = int(found.group("denominator"))
        if not under:
            return None
        value /= under
    return value / 100 if found.group("percent") and hundredth else value
