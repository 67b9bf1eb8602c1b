"""Syntax trees: size, depth, complexity and likeness, checked by hand counts, in three languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets_tests.telemetry.points import HOUR
from pipeline.telemetry.code_trees import LARGEST_CODE, measure_analyses, measure_code, similarity
from pipeline.telemetry.tables import DEEP_ANALYSES

PYTHON = "def f(x):\n    if x and x > 1:\n        return [y for y in x if y]\n    return 0\n"
JAVASCRIPT = "function f(x) { if (x && x.ok) { return 1 } for (const y of x) { g(y) } return x ? 1 : 2 }"
TYPESCRIPT = "const f = (x: number): number => { while (x > 0) { x-- } return x ?? 0 }"


@pytest.mark.parametrize(
    ("language", "code", "complexity", "functions"),
    [
        ("python", PYTHON, 1 + 4, 1),  # if, and, for-in, if of the comprehension
        ("python", "x = 1\n", 1, 0),
        ("python", "def a(): pass\ndef b(): pass\n", 2, 2),
        ("javascript", JAVASCRIPT, 1 + 4, 1),  # if, &&, for, ?:
        ("typescript", TYPESCRIPT, 1 + 2, 1),  # while, ??
        ("tsx", "const A = () => <b>{x ? 1 : 2}</b>", 1 + 1, 1),
    ],
)
def test_complexity_by_hand(language: str, code: str, complexity: int, functions: int) -> None:
    tree = measure_code(code, language)
    assert (tree.complexity, tree.functions, tree.errors) == (complexity, functions, 0)
    assert tree.nodes > 0
    assert tree.depth > 1


def test_likeness_is_one_for_the_same_tree_and_falls_with_change() -> None:
    same = measure_code(PYTHON, "python")
    spaced = measure_code(PYTHON.replace("    ", "  "), "python")
    renamed = measure_code(PYTHON.replace("x", "z"), "python")
    other = measure_code("class A:\n    b = 'c'\n", "python")
    assert similarity(same, spaced) == 1
    assert 1 > similarity(same, renamed) > similarity(same, other)


def test_code_that_does_not_parse_is_measured_and_marked() -> None:
    assert measure_code("def f(:\n  return (\n", "python").errors > 0


def test_code_nested_very_deep_ends() -> None:
    assert measure_code("(" * 3000 + ")" * 3000, "python").depth > 0


@given(st.text(max_size=300), st.sampled_from(["python", "javascript", "typescript"]))
def test_any_text_is_measured_and_like_itself(code: str, language: str) -> None:
    tree = measure_code(code.encode("utf-8", "replace").decode(), language)
    assert similarity(tree, tree) == 1


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"language": "Python", "code_before": "a = 1", "code_after": "a = 2"}, "measured"),
        ({"language": "python", "code_after": "a = 2"}, "measured"),
        ({"language": "cobol", "code_after": "a = 2"}, "unknown_language"),
        ({"language": None, "code_after": "a = 2"}, "unknown_language"),
        ({"language": "python"}, "no_code"),
        ({"language": "python", "code_after": "a" * (LARGEST_CODE + 1)}, "too_large"),
    ],
)
def test_each_analysis_has_a_row_that_says_what_was_done(values: dict[str, str], state: str) -> None:
    base = {"hour": HOUR.start, "event_id": "0" * 26, "task_id": "t", "synthetic": False}
    row = measure_analyses(DEEP_ANALYSES.frame([base | values])).row(0, named=True)
    assert row["state"] == state
    both = bool(values.get("code_before")) and bool(values.get("code_after"))
    assert (row["similarity"] is not None) == both
    assert (row["nodes_after"] is not None) == (state == "measured")
