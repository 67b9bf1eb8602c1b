"""Rows of exports as a person reads them: prompt, completions, figures."""

from __future__ import annotations

import json
import sys
from typing import Any

LONGEST_TEXT = 1_500

_OUTPUTS = ("completion", "chosen", "rejected", "preferred_output", "non_preferred_output")
_STYLES = {"chosen": "green", "preferred_output": "green", "rejected": "red", "non_preferred_output": "red"}


def print_row(entry: dict[str, Any], row: dict[str, Any], *, title: str) -> None:
    """Print one row in panels: prompt, outputs, and the rest as figures."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.rule import Rule
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    figures = [
        f"{name} {entry[name]}"
        for name in ("rule", "score", "margin", "tokens", "source", "agent_version")
        if entry.get(name) is not None
    ]
    console.print(Rule(Text(title), align="left"))
    console.print(Text(", ".join(figures), style="dim"))
    for name, value in _sections(row):
        console.print(
            Panel(
                Text(_shown(value)),
                title=Text(name),
                title_align="left",
                border_style=_STYLES.get(name, "blue"),
            )
        )


def _sections(row: dict[str, Any]) -> list[tuple[str, Any]]:
    """What to show of a row, prompt first."""
    if "steps" in row:
        return [
            ("trajectory", [{"role": s["source"], "content": s["message"], **_more(s)} for s in row["steps"]])
        ]
    first = [("prompt", row["input"]["messages"])] if "input" in row else []
    first += [(name, row[name]) for name in ("prompt", "messages", *_OUTPUTS) if name in row]
    known = {name for name, _ in first} | {"input"}
    rest = {name: value for name, value in row.items() if name not in known and value is not None}
    return [*first, *([("columns", rest)] if rest else [])]


def _more(step: dict[str, Any]) -> dict[str, Any]:
    observed = [result.get("content", "") for result in (step.get("observation") or {}).get("results", [])]
    return {
        "reasoning_content": step.get("reasoning_content"),
        "tool_calls": step.get("tool_calls"),
        "observed": "\n".join(observed),
    }


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "role" in value[0]:
        return "\n\n".join(_message(message) for message in value)
    return _short(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def _message(message: dict[str, Any]) -> str:
    parts = [f"{message['role']}:"]
    if message.get("reasoning_content"):
        parts.append(f"(thinks) {_short(message['reasoning_content'])}")
    if message.get("content"):
        parts.append(_short(message["content"]))
    parts += [
        f"(calls) {_short(json.dumps(call, ensure_ascii=False))}" for call in message.get("tool_calls") or ()
    ]
    if message.get("observed"):
        parts.append(f"(observes) {_short(message['observed'])}")
    return "\n".join(parts)


def _short(text: str) -> str:
    printable = "".join(
        character if character.isprintable() or character in "\n\t" else "?" for character in text
    )
    if len(printable) <= LONGEST_TEXT:
        return printable
    return f"{printable[:LONGEST_TEXT]}… ({len(text):,} characters)"
