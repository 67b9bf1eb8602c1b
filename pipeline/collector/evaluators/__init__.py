"""Evaluators: an answer and what was expected in, a score of 0-1 out.

What belongs here: the registry of evaluators by name, one module per kind. What does not: running what an
answer contains; nothing untrusted runs here. A change of what an evaluator decides raises its version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.collector.evaluators.base import Evaluator, Judged, refuse_unknown
from pipeline.collector.evaluators.choice import Choice
from pipeline.collector.evaluators.code import Code
from pipeline.collector.evaluators.json_schema import JsonSchema
from pipeline.collector.evaluators.number import Number
from pipeline.collector.evaluators.pattern import Pattern
from pipeline.collector.evaluators.text import Exact, TokenF1
from pipeline.collector.evaluators.unscored import Unscored
from pipeline.errors import ConfigurationError

EVALUATORS: Mapping[str, Callable[..., Evaluator]] = {
    "choice": Choice,
    "number": Number,
    "exact": Exact,
    "f1": TokenF1,
    "regex": Pattern,
    "json_schema": JsonSchema,
    "none": Unscored,
    "code": Code,
}

__all__ = ["EVALUATORS", "Evaluator", "Judged", "make_evaluator"]


def make_evaluator(name: str, parameters: Mapping[str, Any], *, where: str) -> Evaluator:
    """The evaluator of that name; raises ``ConfigurationError`` for a name or parameter it does not know."""
    made = EVALUATORS.get(name)
    if made is None:
        raise ConfigurationError(
            f"Reading {where}: there is no evaluator {name!r}; there are {', '.join(EVALUATORS)}."
        )
    refuse_unknown(made, parameters, f"{where}, evaluator {name}")
    try:
        return made(**parameters)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"Reading {where}, evaluator {name}: {error}; correct the parameter."
        ) from error
