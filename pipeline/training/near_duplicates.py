"""Rows that say nearly the same as an earlier one, found by MinHash and locality-sensitive hashing.

What belongs here: signatures and look-ups. What does not: what counts as a row's text
(``writing.rows.gist_of``).

A text is the set of its runs of five words (folded to lower case); texts shorter than that are one run. A run
is known by a 64-bit number. Signatures have 64 numbers in 12 bands of 5 (Broder 1997; Leskovec, Rajaraman,
Ullman, Mining of Massive Datasets, 3.4), which find 97 % of pairs at similarity .75 and more than 99.9 % at
.9; each find is confirmed on the runs themselves, so none is left out by chance. The index is
``datasketch``'s; its signatures, made of Python sets and a hash per run, took half of an export, so they are
computed here by numpy.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[np.uint64]]

PERMUTATIONS = 64
BANDS, ROWS_PER_BAND = 12, 5
WORDS = 5
SEED = 1
SCHEME = "legacy"  # datasketch asks how numbers were made, so as not to mix them; here all are made one way
_BASE = 0x9E3779B97F4A7C15
"""An odd 64-bit number, the golden ratio's: runs are numbers to this base, modulo 2^64."""
_RUNS_AT_ONCE = 100_000
"""Bounds the memory of a long text's signature to 50 MB."""


class NearDuplicates:
    """Remembers the texts it was asked to add; ``similarity`` is Jaccard's, 0-1."""

    def __init__(self, similarity: float) -> None:
        import numpy as np
        from datasketch import MinHashLSH  # brings scipy: 0.8 s to import

        self.similarity = similarity
        self._index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS_PER_BAND))
        self._texts: list[str] = []
        drawn = np.random.Generator(np.random.PCG64(SEED)).integers(0, 2**63, (2, PERMUTATIONS), np.uint64)
        self._factors, self._shifts = drawn[0] * 2 + 1, drawn[1]

    def signatures(self, texts: Sequence[str]) -> list[Any]:
        """One signature per text."""
        from datasketch import LeanMinHash

        return [
            LeanMinHash(seed=SEED, hashvalues=self._signature(runs_of(text)), scheme=SCHEME) for text in texts
        ]

    def known(self, text: str, signature: Any) -> bool:
        """Whether an added text is at least as similar as asked."""
        own: Numbers | None = None
        for place in self._index.query(signature):
            own = own if own is not None else runs_of(text)
            if similarity_of(own, runs_of(self._texts[place])) >= self.similarity:
                return True
        return False

    def add(self, text: str, signature: Any) -> None:
        """Remember a text."""
        self._index.insert(len(self._texts), signature, check_duplication=False)
        self._texts.append(text)

    def _signature(self, runs: Numbers) -> Numbers:
        """The smallest number of all runs under each of 64 hash functions (multiply and shift)."""
        import numpy as np

        smallest = np.full(PERMUTATIONS, 2**32, np.uint64)
        for start in range(0, len(runs), _RUNS_AT_ONCE):
            some = runs[start : start + _RUNS_AT_ONCE, None]
            hashed = (some * self._factors + self._shifts) >> np.uint64(32)
            smallest = np.minimum(smallest, hashed.min(axis=0))
        return smallest


def runs_of(text: str) -> Numbers:
    """The runs of five words of a text as numbers, each once, in ascending order."""
    import numpy as np

    checksum = zlib.crc32
    words = [checksum(word) for word in text.casefold().encode("utf-8", "surrogatepass").split()]
    numbers = np.array(words or [0], np.uint64)
    length = min(WORDS, len(numbers))
    count = len(numbers) - length + 1
    runs = np.zeros(count, np.uint64)
    for place in range(length):
        runs = runs * np.uint64(_BASE) + numbers[place : place + count]
    runs ^= runs >> np.uint64(29)  # so that the high bits, which signatures use, depend on every word
    return np.unique(runs * np.uint64(_BASE))


def similarity_of(one: Numbers, other: Numbers) -> float:
    """Jaccard's similarity of two texts' runs, 0-1."""
    import numpy as np

    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)
