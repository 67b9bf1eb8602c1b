"""Code as syntax trees: how large, how deep, how complex, and how alike before and after.

What belongs here: measuring one text, and a deep analysis's two. What does not: the table's other columns.
Code need not be valid: tree-sitter parses what it can and marks the rest.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.telemetry.aggregate_tables import CODE_METRICS

LARGEST_CODE = 400_000
"""Longest code that is parsed, in characters."""

LANGUAGES = {
    "python": "python",
    "py": "python",
    "python3": "python",
    "javascript": "javascript",
    "js": "javascript",
    "jsx": "javascript",
    "node": "javascript",
    "typescript": "typescript",
    "ts": "typescript",
    "tsx": "tsx",
}
"""Names that applications use, and the language each stands for."""

FUNCTIONS = frozenset(
    [
        "function_definition",
        "lambda",
        "function_declaration",
        "function_expression",
        "arrow_function",
        "method_definition",
        "generator_function",
        "generator_function_declaration",
    ]
)
DECISIONS = frozenset(
    [
        "if_statement",
        "elif_clause",
        "for_statement",
        "while_statement",
        "except_clause",
        "conditional_expression",
        "boolean_operator",
        "if_clause",
        "for_in_clause",
        "case_clause",
        "for_in_statement",
        "do_statement",
        "switch_case",
        "catch_clause",
        "ternary_expression",
    ]
)
"""Nodes at which the flow of control divides (McCabe 1976), in Python, JavaScript and TypeScript."""

SHORT_CIRCUITS = frozenset(["&&", "||", "??"])


@dataclass(frozen=True)
class Measured:
    """One text's tree: named nodes, depth, McCabe's number summed over functions, functions, unparsable
    places.
    """

    nodes: int
    depth: int
    complexity: int
    functions: int
    errors: int
    paths: Counter[tuple[str, str, bytes]]


def measure_code(code: str, language: str) -> Measured:
    """The tree of ``code`` in a language of ``LANGUAGES``'s values."""
    tree = _parser(language).parse(code.encode())
    paths: Counter[tuple[str, str, bytes]] = Counter()
    counts: Counter[str] = Counter()
    deepest = 0
    waiting = [(tree.root_node, "", 1)]
    while waiting:
        node, parent, depth = waiting.pop()
        if node.is_error or node.is_missing:
            counts["errors"] += 1
        deepest = max(deepest, depth)
        if node.is_named:
            counts["nodes"] += 1
            text = b"" if node.named_child_count else node.text
            paths[parent, node.type, text] += 1
        if node.is_named:
            counts["functions"] += node.type in FUNCTIONS
            counts["decisions"] += node.type in DECISIONS
        elif node.type in SHORT_CIRCUITS:
            counts["decisions"] += 1
        waiting.extend((child, node.type, depth + 1) for child in node.children)
    complexity = counts["decisions"] + max(1, counts["functions"])
    return Measured(counts["nodes"], deepest, complexity, counts["functions"], counts["errors"], paths)


def similarity(before: Measured, after: Measured) -> float:
    """Dice's coefficient of the two trees' parent-child paths, leaves with their text: 1 for equal trees, 0
    apart.
    """
    total = before.paths.total() + after.paths.total()
    return 2 * (before.paths & after.paths).total() / total if total else 1.0


def measure_analyses(analyses: pl.DataFrame) -> pl.DataFrame:
    """Rows of ``telemetry.code_metrics`` from rows of ``telemetry.deep_analyses``."""
    return CODE_METRICS.frame([_row(analysis) for analysis in analyses.iter_rows(named=True)])


def _row(analysis: dict[str, Any]) -> dict[str, Any]:
    row = {name: analysis[name] for name in ("hour", "event_id", "task_id", "agent", "synthetic")}
    before, after = analysis["code_before"] or "", analysis["code_after"] or ""
    language = LANGUAGES.get((analysis["language"] or "").strip().lower())
    row["language"] = language
    if not before and not after:
        return row | {"state": "no_code"}
    if language is None:
        return row | {"state": "unknown_language"}
    if max(len(before), len(after)) > LARGEST_CODE:
        return row | {"state": "too_large"}
    trees = {
        side: measure_code(code, language) for side, code in (("before", before), ("after", after)) if code
    }
    for side, tree in trees.items():
        for name in ("nodes", "depth", "complexity", "functions", "errors"):
            row[f"{name}_{side}"] = getattr(tree, name)
    alike = similarity(trees["before"], trees["after"]) if len(trees) == 2 else None
    return row | {"state": "measured", "similarity": alike}


@functools.cache
def _parser(language: str) -> Any:
    import tree_sitter

    if language == "python":
        import tree_sitter_python

        grammar = tree_sitter_python.language()
    elif language == "javascript":
        import tree_sitter_javascript

        grammar = tree_sitter_javascript.language()
    else:
        import tree_sitter_typescript

        typescript, tsx = tree_sitter_typescript.language_typescript, tree_sitter_typescript.language_tsx
        grammar = tsx() if language == "tsx" else typescript()
    return tree_sitter.Parser(tree_sitter.Language(grammar))
