"""What every evaluator is: a name, a version, a check of targets and a judgement."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

from pipeline.errors import ConfigurationError, InputError

LONGEST_ANSWER = 200_000
"""Characters of an answer that are read; of a longer one the end, where the result stands."""


class Judged(NamedTuple):
    """What an answer came to.

    ``prediction`` is what was read out of the answer, None where nothing could be; ``score`` is 0-1, None
    where the dataset has nothing to compare with. An answer nothing could be read from is wrong: its score
    is 0.
    """

    prediction: str | None
    score: float | None

    @property
    def unparseable(self) -> bool:
        """No prediction could be read out of the answer."""
        return self.prediction is None


class Evaluator(ABC):
    """Judges answers. ``full_name`` stands in results, so that scores of two versions are never mixed."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    binary: ClassVar[bool] = True
    """Whether every score is 0 or 1, which pass@k needs."""

    @property
    def full_name(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    @abstractmethod
    def judge(self, answer: str, target: str | None) -> Judged:
        """The judgement of one answer; ``answer`` may be anything a model writes."""

    def check_target(self, target: str | None) -> None:
        """Raises ``InputError`` where no answer could be compared with ``target``."""
        if target is None:
            raise InputError("the dataset declares no target, which this evaluator needs")

    def refuse_to_run(self) -> None:  # noqa: B027 - most evaluators have nothing to refuse
        """Raises where answers cannot be judged here at all; said before anything is spent."""


def refuse_unknown(made: Callable[..., Evaluator], parameters: Mapping[str, Any], where: str) -> None:
    """Raises ``ConfigurationError`` for a parameter the evaluator does not have."""
    known = [name for name in inspect.signature(made).parameters if name not in {"args", "kwargs"}]
    for name in parameters:
        if name not in known:
            raise ConfigurationError(
                f"Reading {where}: it has no parameter {name!r}; it has {', '.join(known) or 'none'}."
            )


def readable_end(answer: str) -> str:
    """The end of an answer, where its result stands, within ``LONGEST_ANSWER``."""
    return answer if len(answer) <= LONGEST_ANSWER else answer[-LONGEST_ANSWER:]
