"""One example on its way out: a row in its trainer's format, and what must be known about it.

What belongs here: the record type and its making from a candidate. What does not: any kind's row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

DEFAULT_PART = "default"


@dataclass
class Example:
    """A row and its provenance.

    ``score`` is on 1-10, ``margin`` on 0-1; ``lineages`` and ``events`` are ids, ``rule`` says why the row
    is here.
    ``line`` (the row as JSON), the hashes, ``tokens``, ``split`` and ``index`` are filled in on the way.
    """

    row: dict[str, Any]
    rule: str
    session: str
    lineages: tuple[str, ...]
    events: tuple[str, ...]
    source: str
    agent_version: str
    at: datetime
    complexity: str
    score: float | None = None
    margin: float | None = None
    part: str = DEFAULT_PART
    tokens: int = 0
    prompt_hash: str = ""
    row_hash: str = ""
    split: str = ""
    index: int = 0
    line: bytes = b""
    facts: dict[str, Any] = field(default_factory=dict)


def example_of(candidate: dict[str, Any], row: dict[str, Any], *, rule: str, **more: Any) -> Example:
    """An example of one artifact; ``more`` overrides what the candidate says."""
    facts: dict[str, Any] = {
        "session": candidate["session_id"],
        "lineages": (candidate["lineage_id"],) if candidate["lineage_id"] else (),
        "events": tuple(candidate["events"]),
        "source": candidate["source"],
        "agent_version": candidate["agent_version"] or "unknown",
        "at": candidate["at"],
        "complexity": candidate["complexity"] or "unknown",
        "score": candidate["score"],
    }
    return Example(row, rule, **{**facts, **more})


def pair_of(pair: dict[str, Any], row: dict[str, Any], *, part: str = DEFAULT_PART) -> Example:
    """An example of two artifacts; the session and the score are those of the chosen one."""
    chosen, rejected = pair["chosen"], pair["rejected"]
    return example_of(
        chosen,
        row,
        rule=pair["rule"],
        lineages=tuple(
            dict.fromkeys(side["lineage_id"] for side in (chosen, rejected) if side["lineage_id"])
        ),
        events=tuple(dict.fromkeys([*chosen["events"], *rejected["events"], *pair["events"]])),
        at=max(chosen["at"], rejected["at"]),
        margin=pair["margin"],
        part=part,
        facts={
            "rejected_session": rejected["session_id"],
            "rejected_agent_version": rejected["agent_version"],
        },
    )
