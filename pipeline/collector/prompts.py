"""Prompt templates: a small part of Jinja that cannot call, loop or grow without bound.

What belongs here: compiling and rendering templates of a dataset's declaration. What does not: what is
rendered into them (``datasets``).

Beyond Jinja's sandbox, a template may only use the kinds of nodes and the filters listed here: no calls, no
macros, no imports. Loops together run at most ``MAXIMUM_ROUNDS`` times, no text becomes longer than
``MAXIMUM_CHARACTERS``, and a name that a row does not have is an error, never an empty text.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipeline.errors import ConfigurationError, InputError

MAXIMUM_ROUNDS = 10_000
MAXIMUM_CHARACTERS = 4_000_000
LARGEST_NUMBER = 10**18

_ALLOWED_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.For, nodes.If,
    nodes.Assign,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Getattr,
    nodes.Getitem, nodes.Filter, nodes.Test, nodes.Concat, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div,
    nodes.FloorDiv, nodes.Mod, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Slice,
)  # fmt: skip

_ALLOWED_FILTERS = frozenset({
    "abs", "capitalize", "default", "d", "first", "float", "int", "last", "length", "list", "lower", "round",
    "string", "title", "trim", "upper", "wordcount",
})  # fmt: skip

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class _OutOfBoundsError(Exception):
    """A template looped or grew beyond its bounds."""


class _Rounds:
    """How many more rounds the loops of the rendering under way may run."""

    left = MAXIMUM_ROUNDS


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "%"})

    def call_binop(self, context: Any, operator_: str, left: Any, right: Any) -> Any:
        texts = isinstance(left, str | list | tuple), isinstance(right, str | list | tuple)
        if operator_ == "+":
            if all(texts):
                _check_length(len(left) + len(right))
            return operator.add(left, right)
        if any(texts):
            raise _OutOfBoundsError(f"{operator_!r} is for numbers only")
        if operator_ == "%":
            return operator.mod(left, right)
        if isinstance(left, int) and isinstance(right, int) and abs(left) * abs(right) > LARGEST_NUMBER:
            raise _OutOfBoundsError("a product grows beyond 18 digits")
        return operator.mul(left, right)


class PromptTemplate:
    """A compiled template; ``name`` says in errors where it stands."""

    def __init__(self, source: str, name: str) -> None:
        self.name = name
        self._fixed = source if not any(mark in source for mark in ("{{", "{%", "{#")) else None
        self._template = _compile(source, name)

    def render(self, values: Mapping[str, Any]) -> str:
        """The text for one row's fields; raises ``InputError`` where a field is missing or a bound is
        passed."""
        if self._fixed is not None:
            return self._fixed
        _Rounds.left = MAXIMUM_ROUNDS
        try:
            return self._joined(values)
        except (
            TemplateError,
            _OutOfBoundsError,
            ArithmeticError,
            TypeError,
            ValueError,
            LookupError,
        ) as error:
            raise InputError(f"Rendering {self.name}: {error}; correct the template or the row.") from error

    def _joined(self, values: Mapping[str, Any]) -> str:
        pieces, length = [], 0
        for piece in self._template.generate(values):
            length += len(piece)
            _check_length(length)
            pieces.append(piece)
        return "".join(pieces)


def _compile(source: str, name: str) -> Template:
    try:
        tree = _ENVIRONMENT.parse(source)
        for node in _every(tree):
            _check_node(node)
        code = _ENVIRONMENT.compile(_bounded(tree))
        compiled: Template = Template.from_code(_ENVIRONMENT, code, {})
    except (TemplateError, _OutOfBoundsError, RecursionError) as error:
        raise ConfigurationError(
            f"Reading the template of {name}: {error or 'it is nested too deeply'}; correct it."
        ) from error
    return compiled


def _every(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _every(child)


def _check_node(node: nodes.Node) -> None:
    if not isinstance(node, _ALLOWED_NODES):
        raise _OutOfBoundsError(
            f"line {node.lineno} uses {type(node).__name__.lower()}, which prompt templates do not have"
        )
    if isinstance(node, nodes.For) and node.recursive:
        raise _OutOfBoundsError(
            f"line {node.lineno} has a recursive loop, which prompt templates do not have"
        )
    if isinstance(node, nodes.Filter) and node.name not in _ALLOWED_FILTERS | _OWN_FILTERS.keys():
        raise _OutOfBoundsError(
            f"line {node.lineno} uses the filter {node.name!r}; there are "
            + ", ".join(sorted(_ALLOWED_FILTERS | _OWN_FILTERS.keys()))
        )


def _bounded(tree: nodes.Template) -> nodes.Template:
    """The tree with counted loops and measured concatenations."""
    for node in list(_every(tree)):
        if isinstance(node, nodes.For):
            node.iter = _filtered(node.iter, "counted_rounds")
    measured: nodes.Template = _measured(tree)
    return measured


def _measured(node: Any) -> Any:
    for field, value in list(node.iter_fields()):
        if isinstance(value, nodes.Node):
            setattr(node, field, _measured(value))
        elif isinstance(value, list):
            setattr(
                node, field, [_measured(part) if isinstance(part, nodes.Node) else part for part in value]
            )
    if isinstance(node, nodes.Concat):
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return _filtered(parts, "measured_concatenation")
    return node


def _filtered(node: Any, name: str) -> nodes.Filter:
    made = nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
    for part in (made, node):
        part.set_environment(_ENVIRONMENT)
    return made


def _counted_rounds(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _Rounds.left -= 1
        if _Rounds.left < 0:
            raise _OutOfBoundsError(f"its loops run more than {MAXIMUM_ROUNDS:,} times")
        yield value


def _measured_concatenation(parts: list[Any]) -> str:
    texts = [str(part) for part in parts]
    _check_length(sum(map(len, texts)))
    return "".join(texts)


def _check_length(length: int) -> None:
    if length > MAXIMUM_CHARACTERS:
        raise _OutOfBoundsError(f"it grows beyond {MAXIMUM_CHARACTERS:,} characters")


def _replace(text: Any, old: str, new: str) -> str:
    whole = str(text)
    if not old:
        raise _OutOfBoundsError("replace needs a text to look for")
    _check_length(len(whole) + whole.count(old) * max(0, len(new) - len(old)))
    return whole.replace(old, new)


def _join(parts: Iterable[Any], separator: str = "") -> str:
    texts = [str(part) for part in _counted_rounds(parts)]
    _check_length(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _letter(position: Any) -> str:
    """0 is A, 1 is B; a letter stays as it is."""
    if isinstance(position, str) and position.strip().upper() in _LETTERS and len(position.strip()) == 1:
        return position.strip().upper()
    number = int(position)
    if not 0 <= number < len(_LETTERS):
        raise _OutOfBoundsError(f"{number} is no position from 0 to 25")
    return _LETTERS[number]


def _after(text: Any, mark: str) -> str:
    """What stands after the last ``mark``; an error where there is none."""
    before, found, behind = str(text).rpartition(mark)
    if not found:
        raise _OutOfBoundsError(f"{mark!r} does not stand in {before or behind[:60]!r}")
    return behind.strip()


def _to_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    _check_length(len(text))
    return text


_OWN_FILTERS: dict[str, Callable[..., Any]] = {
    "after": _after,
    "join": _join,
    "letter": _letter,
    "replace": _replace,
    "tojson": _to_json,
}


def _environment() -> _Environment:
    made = _Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)
    made.globals.clear()
    made.filters = {
        **{name: made.filters[name] for name in _ALLOWED_FILTERS},
        **_OWN_FILTERS,
        "counted_rounds": _counted_rounds,
        "measured_concatenation": _measured_concatenation,
    }
    return made


_ENVIRONMENT = _environment()
