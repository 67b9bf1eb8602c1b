"""JSON answers: is there one, does it satisfy a schema, and are its fields the expected ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pipeline.collector.evaluators.base import Evaluator, Judged, readable_end
from pipeline.collector.evaluators.pattern import compile_pattern
from pipeline.documents import parse_json
from pipeline.errors import InputError

_FENCED = re.compile(r"```(?:json|JSON)?[ \t]*\n(.*?)```", re.DOTALL)
MAXIMUM_STARTS = 50
"""Opening brackets tried where an answer has text around its JSON."""


class JsonSchema(Evaluator):
    """The JSON of an answer: in the last code fence, else the whole answer, else the last that can be read.

    It must satisfy ``schema`` (JSON Schema 2020-12; patterns in linear time, nothing fetched). ``compare``:
    "none" asks for no more, "equal" for the target's value, "fields" scores the share of the target's
    top-level fields that are equal, 0-1.
    """

    name = "json_schema"

    def __init__(self, schema: dict[str, Any], compare: str = "none") -> None:
        if compare not in {"none", "equal", "fields"}:
            raise ValueError(f"compare is {compare!r}, and must be none, equal or fields")
        self._validator = _validator(schema)
        self._compare = compare

    @property
    def binary(self) -> bool:  # type: ignore[override]
        """Shares of fields are not 0 or 1."""
        return self._compare != "fields"

    def judge(self, answer: str, target: str | None) -> Judged:
        """0 where no JSON can be read or the schema is broken; else as ``compare`` says."""
        found = _read(readable_end(answer))
        if found is None:
            return Judged(None, 0.0)
        prediction = json.dumps(found[0], ensure_ascii=False)
        if not self._validator.is_valid(found[0]):
            return Judged(prediction, 0.0)
        if self._compare == "none" or target is None:
            return Judged(prediction, 1.0)
        return Judged(prediction, self._score(found[0], parse_json(target.encode(), "the target")))

    def check_target(self, target: str | None) -> None:
        """The target is JSON that satisfies the schema itself, where it is compared."""
        if self._compare == "none":
            return
        super().check_target(target)
        value = parse_json((target or "").encode(), "the target")
        problem = next(iter(self._validator.iter_errors(value)), None)
        if problem is not None:
            raise InputError(f"the target does not satisfy the schema: {problem.message[:200]}")

    def _score(self, found: Any, expected: Any) -> float:
        if self._compare == "equal" or not isinstance(expected, dict) or not expected:
            return 1.0 if _same(found, expected) else 0.0
        if not isinstance(found, dict):
            return 0.0
        return sum(name in found and _same(found[name], expected[name]) for name in expected) / len(expected)


def _same(left: Any, right: Any) -> bool:
    """Equal as JSON values: true is not 1, and texts agree up to spaces around them and case."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, str) and isinstance(right, str):
        return left.strip().casefold() == right.strip().casefold()
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    return bool(left == right)


def _read(answer: str) -> tuple[Any] | None:
    """The JSON value in an answer, in a tuple because it may be null; None where there is none."""
    for candidate in _candidates(answer):
        try:
            return (parse_json(candidate.encode(), "the answer"),)
        except (InputError, UnicodeEncodeError):
            continue
    return _embedded(answer)


def _candidates(answer: str) -> Iterator[str]:
    fenced = _FENCED.findall(answer)
    if fenced:
        yield fenced[-1]
    yield answer


def _embedded(answer: str) -> tuple[Any] | None:
    decoder = json.JSONDecoder()
    found: tuple[Any] | None = None
    position = starts = 0
    while starts < MAXIMUM_STARTS:
        opening = min((place for place in (answer.find("{", position), answer.find("[", position)) if place
        >= 0),
                      default=-1)  # fmt: skip
        if opening < 0:
            break
        starts += 1
        try:
            value, position = decoder.raw_decode(answer, opening)
            found = (parse_json(json.dumps(value).encode(), "the answer"),)
        except (ValueError, RecursionError, InputError):
            position = opening + 1
    return found


def _validator(schema: dict[str, Any]) -> Any:
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import extend
    from referencing import Registry

    if not isinstance(schema, dict):
        raise ValueError("the schema is no mapping")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"the schema is no JSON Schema: {error.message[:200]}") from error
    patterns = {pattern: compile_pattern(pattern) for pattern in _patterns(schema)}

    def pattern(_: Any, wanted: str, instance: Any, __: Any) -> Iterator[Any]:
        from jsonschema import ValidationError

        if isinstance(instance, str) and patterns[wanted].search(instance) is None:
            yield ValidationError(f"{instance[:60]!r} does not match {wanted!r}")

    # A registry without retrieval: a $ref to an address is an error and is never fetched.
    return extend(Draft202012Validator, {"pattern": pattern})(schema, registry=Registry())


def _patterns(schema: Any) -> Iterator[str]:
    """Every pattern of the schema; ``patternProperties`` would run outside RE2 and is refused."""
    if isinstance(schema, dict):
        if isinstance(schema.get("patternProperties"), dict):
            raise ValueError("the schema uses patternProperties; name the properties instead")
        for reference in ("$ref", "$dynamicRef"):
            if isinstance(schema.get(reference), str) and not schema[reference].startswith("#"):
                raise ValueError(f"the schema refers to {schema[reference][:80]!r}; write it out below $defs")
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for value in schema.values():
            yield from _patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _patterns(value)
