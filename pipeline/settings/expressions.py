"""The language of formulas and indicators: a closed part of SQL, checked before anything is compiled.

What belongs here: which words, functions and names an expression may use, turning its text into a
Polars expression, and refusing it with a sentence. What does not: the terms and columns themselves
(``settings.categories``) and evaluating over frames of models (``pipeline.capability.expressions``).

Nothing is ever evaluated as Python. The text is cut into tokens first and every token must be
known, so there is no way to write a subquery, an aggregate, a window or a function that reads files.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

import polars as pl
from polars.exceptions import PolarsError

from pipeline.errors import ConfigurationError

MAXIMUM_LENGTH = 1_000
"""Longest expression, in characters."""

FUNCTIONS = frozenset(
    [
        "ABS",
        "ARRAY_CONTAINS",
        "ARRAY_LENGTH",
        "CEIL",
        "COALESCE",
        "ENDS_WITH",
        "EXP",
        "FLOOR",
        "GREATEST",
        "IF",
        "LEAST",
        "LENGTH",
        "LN",
        "LOG10",
        "LOG2",
        "LOWER",
        "MOD",
        "NULLIF",
        "POW",
        "POWER",
        "REGEXP_LIKE",
        "ROUND",
        "SIGN",
        "SQRT",
        "STARTS_WITH",
        "UPPER",
    ]
)
"""Functions that an expression may call; each works row by row."""

KEYWORDS = frozenset(
    [
        "AND",
        "OR",
        "NOT",
        "IN",
        "LIKE",
        "ILIKE",
        "BETWEEN",
        "IS",
        "NULL",
        "TRUE",
        "FALSE",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
        "DATE",
    ]
)

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|'')*')
    | (?P<number>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+(?:[eE][+-]?\d+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign><=|>=|<>|!=|[-+*/%(),<>=])
    )""",
    re.VERBOSE | re.ASCII,
)


def parse_expression(text: str, names: Collection[str], *, what: str) -> pl.Expr:
    """``text`` as a Polars expression over columns ``names``, not yet cast.

    ``what`` begins the sentence of an error and names the file, for example ``the formula of category coding
    in categories.yaml``.
    Decimal literals become 64-bit floats, since Polars SQL would make Decimal columns of them.
    Raises ``ConfigurationError`` for an unknown name, function or character, and for wrong syntax.
    """
    rewritten = _rewrite(text, names, what)
    try:
        pl.sql_expr(rewritten)
        # Once more in parentheses: alone, "a b" would pass as a with the alias b.
        expression = pl.sql_expr(f"({rewritten})")
    except PolarsError as error:
        raise _refused(what, text, f"cannot be parsed ({_first_line(error)})") from error
    if expression.meta.has_multiple_outputs():
        raise _refused(what, text, "gives more than one value")
    return expression


def result_type(
    expression: pl.Expr, schema: Mapping[str, pl.DataType | type[pl.DataType]], *, text: str, what: str
) -> pl.DataType:
    """The type of the expression's values over columns of ``schema``; refuses what cannot be typed."""
    try:
        return pl.LazyFrame(schema=dict(schema)).select(expression.alias("result")).collect_schema()["result"]
    except PolarsError as error:
        raise _refused(what, text, f"does not fit its columns ({_first_line(error)})") from error


def check_indicator(text: str, schema: Mapping[str, pl.DataType | type[pl.DataType]], *, what: str) -> None:
    """Refuse an indicator that does not answer true or false over columns of ``schema``."""
    expression = parse_expression(text, schema.keys(), what=what)
    dtype = result_type(expression, schema, text=text, what=what)
    if dtype != pl.Boolean:
        raise _refused(what, text, f"gives {dtype} and must be true or false")
    _run(expression, pl.DataFrame(schema=dict(schema)), text, what)


def check_formula(
    text: str, bounds: Mapping[str, tuple[float, float]], nullable: Collection[str], *, what: str
) -> None:
    """Refuse a formula that gives no finite number somewhere at the corners of its terms' ranges.

    ``bounds`` gives each term's smallest and largest value, ``nullable`` the terms that may be
    unknown. Corners are: all smallest, all largest, and each term at each end or unknown while the
    others stand at the other end; they find divisions by zero and unguarded unknowns.
    """
    expression = parse_expression(text, bounds.keys(), what=what)
    schema = dict.fromkeys(bounds, pl.Float64)
    dtype = result_type(expression, schema, text=text, what=what)
    if not (dtype.is_numeric() or dtype == pl.Null):
        raise _refused(what, text, f"gives {dtype} and must be a number")
    used = sorted(set(expression.meta.root_names()))
    corners = list(_corners(used, bounds, nullable))
    frame = (
        pl.DataFrame(corners, schema=dict.fromkeys(used, pl.Float64))
        if used
        else pl.DataFrame({"one": [1.0]})
    )
    values = _run(expression.cast(pl.Float64), frame, text, what)
    wrong = next(
        (place for place, value in enumerate(values) if value is None or not abs(value) < float("inf")), None
    )
    if wrong is not None:
        at = ", ".join(
            f"{name} = {'unknown' if value is None else f'{value:g}'}"
            for name, value in corners[wrong].items()
        )
        raise _refused(
            what,
            text,
            f"gives no finite number where {at or 'anything holds'}; guard it with COALESCE or NULLIF",
        )


def _corners(
    used: list[str], bounds: Mapping[str, tuple[float, float]], nullable: Collection[str]
) -> Iterable[dict[str, float | None]]:
    for end in (0, 1):
        base: dict[str, float | None] = {name: bounds[name][end] for name in used}
        yield base
        for name in used:
            yield {**base, name: bounds[name][1 - end]}
            if name in nullable:
                yield {**base, name: None}


def _run(expression: pl.Expr, frame: pl.DataFrame, text: str, what: str) -> list[float | None]:
    try:
        return frame.select(expression.alias("result"))["result"].to_list()
    except PolarsError as error:
        raise _refused(what, text, f"cannot be computed ({_first_line(error)})") from error


def _rewrite(text: str, names: Collection[str], what: str) -> str:
    """The text again, every token known and every decimal literal a 64-bit float."""
    if not text.strip():
        raise _refused(what, text, "is empty")
    if len(text) > MAXIMUM_LENGTH:
        raise _refused(what, text, f"is longer than {MAXIMUM_LENGTH} characters")
    parts: list[str] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None:
            raise _refused(
                what, text, f"holds {text[place : place + 12].strip()!r}, which is not allowed here"
            )
        if text.startswith("--", found.start(found.lastgroup or 0)):
            raise _refused(what, text, "holds a comment (--), which is not allowed here")
        place = found.end()
        parts.append(_checked(found, text, names, what, called=text[place:].lstrip().startswith("(")))
    return " ".join(parts)


def _checked(found: re.Match[str], text: str, names: Collection[str], what: str, *, called: bool) -> str:
    token = str(found[found.lastgroup or 0]).strip()
    if found.lastgroup == "number":
        return token if token.isdigit() else f"CAST({token} AS DOUBLE)"
    if found.lastgroup != "word" or token.upper() in KEYWORDS:
        return token
    if called:
        if token.upper() in FUNCTIONS:
            return token
        known = ", ".join(sorted(FUNCTIONS))
        raise _refused(what, text, f"calls the unknown function {token!r}; known are {known}")
    if token in names:
        return f'"{token}"'
    known = ", ".join(sorted(names))
    raise _refused(what, text, f"names the unknown term {token!r}; known are {known}")


def _refused(what: str, text: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"Reading {what}: {text[:120]!r} {why}; correct it in that file.")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:160].rstrip(".")
