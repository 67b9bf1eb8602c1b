"""Numbers that are missing from a process's count, and which of them broken lines had.

What belongs here: stretches of numbers, and matching broken lines to them by their neighbours. What does not:
reading archives, the law itself (``conservation``).

A broken line tells no number, but its place does: between the lines numbered 4 and 6 it was number 5. Where
fewer lines are broken at a place than numbers are missing there, some of these numbers were theirs and nobody
can say which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

RANGES_NAMED = 20
"""How many stretches of missing numbers are written out."""


@dataclass(frozen=True)
class Gap:
    """Numbers ``first`` to ``last`` of a process that no line has."""

    process: str
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many events are missing."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True)
class BrokenLines:
    """``count`` broken lines side by side, after the line numbered ``before`` and ahead of ``after``.

    None stands for no readable line there.
    """

    process: str
    before: int | None
    after: int | None
    count: int


@dataclass(frozen=True)
class Explained:
    """What broken lines explain of a process's gaps.

    ``placed`` are the numbers they had, ``some`` how many further numbers they had among ``open``, the gaps
    that are left.
    """

    placed: tuple[Gap, ...] = ()
    open: tuple[Gap, ...] = ()
    some: int = 0


def explained(gaps: Sequence[Gap], broken: Sequence[BrokenLines]) -> Explained:
    """One process's gaps matched with its broken lines, first by place, then by count alone."""
    left, placed = list(gaps), list[Gap]()
    some = unplaced = 0
    for lines in broken:
        if lines.before is None or lines.after is None or lines.after <= lines.before:
            unplaced += lines.count
            continue
        between = [
            Gap(gap.process, max(gap.first, lines.before + 1), min(gap.last, lines.after - 1))
            for gap in left
            if gap.first < lines.after and gap.last > lines.before
        ]
        if sum(gap.count for gap in between) > lines.count:
            some += lines.count
            continue
        placed += between
        for found in between:
            left = [part for gap in left for part in without(gap, range(found.first, found.last + 1))]
    remaining = sum(gap.count for gap in left)
    return Explained(tuple(placed), tuple(left), min(some + unplaced, remaining))


def without(gap: Gap, known: Iterable[int]) -> list[Gap]:
    """What is left of a gap when the numbers ``known``, in order, are there after all."""
    parts, first = [], gap.first
    for number in known:
        if gap.first <= number <= gap.last:
            if number > first:
                parts.append(Gap(gap.process, first, number - 1))
            first = number + 1
    return [*parts, Gap(gap.process, first, gap.last)] if first <= gap.last else parts


def listed(gaps: Sequence[Gap]) -> str | None:
    """The gaps in words, the first ones only where there are many; none where there is none."""
    more = f" and {len(gaps) - RANGES_NAMED} more" if len(gaps) > RANGES_NAMED else ""
    return ", ".join(str(gap) for gap in gaps[:RANGES_NAMED]) + more or None
