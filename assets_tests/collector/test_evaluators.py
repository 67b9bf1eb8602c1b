"""Evaluators: what is read out of an answer, table by table, and that no answer can break one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collector.evaluators import EVALUATORS, Evaluator, make_evaluator
from pipeline.errors import ConfigurationError, InputError

SCHEMA = {
    "type": "object",
    "required": ["a"],
    "properties": {"a": {"type": "integer"}, "s": {"type": "string", "pattern": "^x+$"}},
}
PARAMETERS: dict[str, dict[str, Any]] = {"regex": {"pattern": r"id (\d+)"}, "json_schema": {"schema": SCHEMA}}


def made(name: str, **parameters: Any) -> Evaluator:
    return make_evaluator(name, parameters or PARAMETERS.get(name, {}), where="a test")


@pytest.mark.parametrize(
    ("answer", "target", "score"),
    [
        ("3 + 4 = 7\n#### 7", "7", 1),
        ("#### 1,234", "1234", 1),
        ("The total is $1,234.50.", "1234.5", 1),
        ("So it is \\boxed{\\frac{1}{2}}", "0.5", 1),
        ("\\boxed{42} and then 7 more words", "42", 1),
        ("1/2", "0.5", 1),
        ("It rises by 15%", "15", 1),
        ("It rises by 15 \\%.", "15", 1),
        ("−7 degrees", "-7", 1),
        ("the result of 10-5 is 5", "5", 1),
        ("x3 is -5", "-5", 1),
        ("Answer: 3 x 6 = 18", "18", 1),
        ("2e3", "2000", 1),
        ("5,000,000", "5000000", 1),
        ("7.", "7", 1),
        ("8", "7", 0),
        ("-7", "7", 0),
        ("1,23", "123", 0),
        ("no number", "7", 0),
        ("1/0", "7", 0),
        ("9" * 5000, "7", 0),
    ],
)
def test_numbers(answer: str, target: str, score: float) -> None:
    assert made("number").judge(answer, target).score == score


def test_numbers_within_a_tolerance_and_percents_by_value() -> None:
    assert made("number", relative_tolerance=0.01).judge("3.14", "3.1416").score == 1
    assert made("number", percent="value").judge("50%", "0.5").score == 1
    assert made("number").judge("3.14", "3.1416").score == 0


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"), ("b", "B"), ("(B)", "B"), ("B.", "B"), ("**B**", "B"), ("B) Paris", "B"),
        ("Answer: B", "B"), ("answer: b", "B"), ("The answer is (C).", "C"), ("**Answer: D**", "D"),
        ("\\boxed{C}", "C"), ("The correct answer is **C. Paris**", "C"), ("It's B.", "B"),
        ("I think A is wrong, so the answer is D", "D"), ("First A, then B.\nAnswer: C", "C"),
        ("A cat sat.", None), ("answer is a mess", None), ("", None), ("E", None), ("Both (A) and (B)", None),
    ],
)  # fmt: skip
def test_choices(answer: str, letter: str | None) -> None:
    assert made("choice").judge(answer, "B").prediction == letter
    assert made("choice").judge(answer, "B").score == (1.0 if letter == "B" else 0.0)


@pytest.mark.parametrize(
    ("answer", "target", "exact", "f1"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1, 1),
        ("Answer: Paris", "Paris", 1, 1),
        ("Paris, France", "Paris", 0, 2 / 3),
        ("London", "Paris", 0, 0),
        ("...", "Paris", 0, 0),
    ],
)
def test_short_texts(answer: str, target: str, exact: float, f1: float) -> None:
    assert made("exact").judge(answer, target).score == exact
    assert made("f1").judge(answer, target).score == pytest.approx(f1)


def test_the_best_of_several_accepted_texts_counts() -> None:
    assert made("exact", separator="|").judge("H₂O", "water|H2O").score == 1


@pytest.mark.parametrize(
    ("answer", "prediction", "score"),
    [
        ('{"a": 1}', '{"a": 1}', 1),
        ('Sure:\n```json\n{"a": 1, "s": "xx"}\n```', '{"a": 1, "s": "xx"}', 1),
        ('It is {"a": 2}.', '{"a": 2}', 1),
        ('{"a": true}', '{"a": true}', 0),
        ('{"a": 1, "s": "y"}', '{"a": 1, "s": "y"}', 0),
        ('{"a": NaN}', None, 0),
        ("no json", None, 0),
        ("[" * 100_000, None, 0),
    ],
)
def test_json(answer: str, prediction: str | None, score: float) -> None:
    judged = made("json_schema").judge(answer, None)
    assert (judged.prediction, judged.score) == (prediction, score)


def test_json_fields_are_scored_by_share() -> None:
    evaluator = made("json_schema", schema={"type": "object"}, compare="fields")
    target = '{"a": 1, "b": "Oslo", "c": true, "d": [1]}'
    assert evaluator.judge('{"a": 1, "b": "oslo ", "c": 1, "d": [1]}', target).score == 0.75
    assert evaluator.binary is False


def test_regular_expressions_read_the_last_match_in_linear_time() -> None:
    assert made("regex").judge("ID 12, then id 13", "13").score == 1
    assert made("regex", pattern="(a+)+$").judge("a" * 100_000 + "b", "x").unparseable
    assert made("regex", pattern="yes").judge("Yes!", None).score == 1


@pytest.mark.parametrize(
    ("name", "parameters", "reason"),
    [
        ("regex", {"pattern": r"(a)\1"}, "linear time"),
        ("regex", {"pattern": "(?=a)"}, "linear time"),
        ("choice", {"choices": 99}, "must be 2-26"),
        ("choice", {"letters": 4}, "no parameter 'letters'"),
        ("number", {"tolerance": -1}, "negative"),
        ("json_schema", {"schema": {"type": "nonsense"}}, "no JSON Schema"),
        ("json_schema", {"schema": {"$ref": "http://example.com/schema"}}, "write it out"),
        ("json_schema", {"schema": {"patternProperties": {"(a+)+$": {}}}}, "patternProperties"),
        ("json_schema", {"schema": {"pattern": "(?=a)"}}, "linear time"),
        ("nothing", {}, "there is no evaluator 'nothing'"),
    ],
)
def test_impossible_parameters_are_refused(name: str, parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        make_evaluator(name, parameters, where="a test")


def test_code_is_declared_and_never_run() -> None:
    with pytest.raises(ConfigurationError, match="no sandbox"):
        made("code").judge("print(1)", "assert True")


@pytest.mark.parametrize("name", [name for name in EVALUATORS if name not in {"none", "code"}])
def test_targets_that_are_missing_or_empty_are_found(name: str) -> None:
    evaluator = made(
        name, **{**PARAMETERS.get(name, {}), **({"compare": "equal"} if name == "json_schema" else {})}
    )
    with pytest.raises(InputError):
        evaluator.check_target("" if name in {"regex", "json_schema", "number", "choice"} else None)


@pytest.mark.parametrize("name", [name for name in EVALUATORS if name != "code"])
@given(answer=st.text(max_size=400))
def test_no_answer_breaks_an_evaluator(name: str, answer: str) -> None:
    judged = made(name).judge(answer, "1")
    assert judged.score is None or 0 <= judged.score <= 1
    assert not judged.unparseable or judged.score == 0
