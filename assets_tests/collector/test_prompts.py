"""Prompt templates: what they can say, and that nothing in one can call, hang or grow without bound."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.collector.prompts import PromptTemplate
from pipeline.errors import ConfigurationError, InputError

ROW: dict[str, Any] = {"question": "Why?", "choices": ["a", "b"], "n": 2, "many": list(range(200))}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ question }}", "Why?"),
        ("no fields", "no fields"),
        ("{% for c in choices %}{{ loop.index0 | letter }}. {{ c }} {% endfor %}", "A. a B. b "),
        ("{{ 'x #### 18' | after('####') }}", "18"),
        ("{{ choices | join('|') }}", "a|b"),
        ("{{ question ~ n }}", "Why?2"),
        ("{{ question | replace('W', 'w') | upper }}", "WHY?"),
        ("{% if n > 1 %}{{ n * 3 + 1 }}{% endif %}", "7"),
        ("{{ choices | tojson }}", '["a", "b"]'),
        ("{{ missing | default('none') }}", "none"),
    ],
)
def test_templates_render(source: str, expected: str) -> None:
    assert PromptTemplate(source, "a test").render(ROW) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ question() }}",
        "{{ question.upper() }}",
        "{% macro a() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{{ n ** 9 }}",
        "{{ question | pprint }}",
        "{{ many | counted_rounds }}",
        "{% for a in many recursive %}{% endfor %}",
        "{{ unclosed",
    ],
)
def test_templates_that_could_do_more_are_refused_when_read(source: str) -> None:
    with pytest.raises(ConfigurationError, match="Reading the template of a test"):
        PromptTemplate(source, "a test")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ absent }}", "'absent' is undefined"),
        ("{{ question.__class__ }}", "unsafe"),
        ("{{ question['__class__'] }}", "unsafe"),
        ("{{ question * 1000000000 }}", "for numbers only"),
        ("{{ '%999999999d' % n }}", "for numbers only"),
        ("{% for a in many %}{% for b in many %}{% endfor %}{% endfor %}", "more than 10,000 times"),
        ("{% set a = question %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}", "grows beyond"),
        ("{% set a = question %}" + "{% set a = a + a %}" * 40 + "{{ a }}", "grows beyond"),
        ("{% set a = n %}" + "{% set a = a * a %}" * 40 + "{{ a }}", "18 digits"),
        ("{{ question | replace('', 'x') }}", "needs a text"),
        ("{{ 'no mark' | after('####') }}", "does not stand"),
        ("{{ n / 0 }}", "division by zero"),
    ],
)
def test_rows_that_pass_a_bound_are_refused_with_the_reason(source: str, reason: str) -> None:
    template = PromptTemplate(source, "a test")
    with pytest.raises(InputError, match=reason):
        template.render(ROW)
