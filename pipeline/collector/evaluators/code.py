"""Programs as answers: declared, and refused until there is a sandbox to run them in."""

from __future__ import annotations

from pipeline.collector.evaluators.base import Evaluator, Judged
from pipeline.errors import ConfigurationError


class Code(Evaluator):
    """Tests a program; ``entry_point`` names the field with the function's name."""

    name = "code"

    def __init__(self, language: str = "python", entry_point: str = "entry_point") -> None:
        if language != "python":
            raise ValueError(f"language is {language!r}, and must be python")
        self.entry_point = entry_point

    def judge(self, answer: str, target: str | None) -> Judged:
        """Never judges: raises the refusal."""
        self.refuse_to_run()
        raise AssertionError("unreachable")

    def refuse_to_run(self) -> None:
        """Programs that a model wrote run in a sandbox or not at all."""
        raise ConfigurationError(
            "Judging programs: the evaluator code runs what a model wrote, and there is no sandbox for it "
            "yet; "
            "collect the answers with the evaluator none, or leave the dataset out."
        )
