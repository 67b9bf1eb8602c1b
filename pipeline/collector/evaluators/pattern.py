"""Regular expressions, matched in linear time by RE2: no pattern can hang on an answer."""

from __future__ import annotations

from typing import Any

from pipeline.collector.evaluators.base import Evaluator, Judged, readable_end
from pipeline.errors import InputError

LONGEST_PATTERN = 2_000
_MEMORY = 16 * 1024 * 1024


class Pattern(Evaluator):
    """Reads the answer with ``pattern``: its last match's first group, or the whole match where it has none.

    With a target, the score is 1 where the two are equal (``ignore_case`` for letters of either case);
    without one, where the pattern matches at all. Patterns are RE2's: no look-around, no back-references.
    """

    name = "regex"

    def __init__(self, pattern: str, ignore_case: bool = True) -> None:
        self._pattern = compile_pattern(pattern, ignore_case)
        self._ignore_case = ignore_case

    def judge(self, answer: str, target: str | None) -> Judged:
        """See the class."""
        prediction = None
        for found in self._pattern.finditer(readable_end(answer)):
            prediction = (found.group(1) if self._pattern.groups else found.group(0)) or ""
        if prediction is None:
            return Judged(None, 0.0)
        if target is None:
            return Judged(prediction, 1.0)
        equal = self._plain(prediction) == self._plain(target)
        return Judged(prediction.strip(), 1.0 if equal else 0.0)

    def check_target(self, target: str | None) -> None:
        """Any text is a target, and none is one too."""
        if target is not None and not target.strip():
            raise InputError("the target is empty")

    def _plain(self, text: str) -> str:
        return text.strip().casefold() if self._ignore_case else text.strip()


def compile_pattern(pattern: str, ignore_case: bool = False) -> Any:
    """The pattern as RE2 has it; raises ``ValueError`` that says what it cannot do."""
    import re2

    if not isinstance(pattern, str) or len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a pattern is a text of at most {LONGEST_PATTERN:,} characters")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(
            f"the pattern {pattern[:60]!r} is none that runs in linear time ({reason})"
        ) from error
