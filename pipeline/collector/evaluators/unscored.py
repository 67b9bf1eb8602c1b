"""No judgement: answers are kept and not scored (embeddings, free texts)."""

from __future__ import annotations

from pipeline.collector.evaluators.base import Evaluator, Judged


class Unscored(Evaluator):
    """Every answer is its own prediction, without a score."""

    name = "none"
    binary = False

    def judge(self, answer: str, target: str | None) -> Judged:
        """The answer itself."""
        return Judged(answer, None)

    def check_target(self, target: str | None) -> None:
        """There is nothing to compare with."""
