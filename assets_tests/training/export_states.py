"""States to export from, recorded as events and projected as the hourly assets do it. All texts are
invented.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from pipeline.capture import signals
from pipeline.capture.events import Message
from pipeline.capture.kinds import Body
from pipeline.hours import Hour
from pipeline.settings.exports import Criteria, Kind
from pipeline.training.examples.records import Records
from pipeline.training.projecting import EVENTS_SCHEMA, project
from pipeline.training.repository import Written
from pipeline.training.tables import RECORDS
from pipeline.warehouse.store import Replacement, Warehouse

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
KIND_OF_BODY = {body: kind for kind, body in signals.SIGNAL_KINDS.items()}

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "description": "Looks an order up.",
            "parameters": {"type": "object", "properties": {"order": {"type": "string"}}},
        },
    }
]


class State:
    """Records events in memory, one a second, and projects them into a warehouse."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def add(self, session: str, body: Body, *, at: datetime | None = None, synthetic: bool = False) -> str:
        """Record a body; returns the event's id."""
        number = len(self.events)
        event_id = f"01K{number:023d}"
        self.events.append(
            {
                "event_id": event_id,
                "kind": KIND_OF_BODY[type(body)],
                "subject": session,
                "happened_at": at or START + timedelta(milliseconds=number),
                "synthetic": synthetic,
                "application": "tests",
                "content_hash": f"{number:032x}",
                "body": msgspec.json.encode(body).decode(),
            }
        )
        return event_id

    def session(self, session: str, need: str = "", **context: Any) -> None:
        self.add(session, signals.SessionStarted(user_need=need, context=context))

    def agent(
        self,
        session: str,
        lineage: str,
        *,
        system: str | None = None,
        tools: Any = None,
        name: str = "helper",
    ) -> None:
        """A lineage with one version of an agent, ``<lineage>.agent``."""
        self.add(session, signals.LineageCreated(lineage_id=lineage, label=lineage))
        hashes: dict[str, Any] = {}
        for field, media, text in (
            ("system_prompt_hash", "prompt", system),
            ("tools_hash", "tools", msgspec.json.encode(tools).decode() if tools else None),
        ):
            if text is not None:
                hashes[field] = hashlib.sha256(text.encode()).hexdigest()
                self.add(session, signals.ContentStored(hash=hashes[field], media=media, text=text))  # type: ignore[arg-type]
        self.add(
            session,
            signals.AgentDefined(
                agent_id=f"{lineage}.agent", lineage_id=lineage, version=1, name=name, **hashes
            ),
        )

    def answer(
        self,
        session: str,
        lineage: str,
        artifact: str,
        content: str | list[dict[str, Any]],
        *,
        need: str = "",
        prompt: list[dict[str, Any]] | None = None,
        score: float | None = None,
        cycle: int = 1,
        thoughts: str = "",
        metadata: dict[str, Any] | None = None,
        synthetic: bool = False,
        at: datetime | None = None,
    ) -> None:
        """A rollout with one attempt, its artifact and, where given, a person's score."""
        rollout, attempt = f"{artifact}.rollout", f"{artifact}.attempt"
        bodies: list[Body] = [
            signals.RolloutStarted(
                rollout_id=rollout, lineage_id=lineage, agent_id=f"{lineage}.agent", cycle=cycle
            ),
            signals.AttemptFinished(
                attempt_id=attempt,
                rollout_id=rollout,
                user_need=need,
                prompt=[msgspec.convert(message, Message) for message in prompt or []],
                status="success",
                metadata=metadata or {},
            ),
        ]
        if thoughts:
            bodies.append(
                signals.SpanFinished(
                    span_id=f"{artifact}.span", attempt_id=attempt, kind="reasoning", result=thoughts
                )
            )
        whole = content if isinstance(content, str) else msgspec.json.encode(content).decode()
        bodies.append(
            signals.ArtifactProduced(
                artifact_id=artifact,
                rollout_id=rollout,
                attempt_id=attempt,
                content=whole,
                content_format="text" if isinstance(content, str) else "messages",
            )
        )
        if score is not None:
            bodies.append(
                signals.EvaluationGiven(evaluation_id=f"{artifact}.score", artifact_id=artifact, score=score)
            )
        for body in bodies:
            self.add(session, body, synthetic=synthetic, at=at)

    def into(self, directory: Path) -> Records:
        """Write every hour's tables into a warehouse in ``directory``."""
        return write_events(self.events, directory)


def write_events(events: Iterable[dict[str, Any]], directory: Path) -> Records:
    """Project events hour by hour into ``directory/warehouse.duckdb``."""
    warehouse = Warehouse(directory / "warehouse.duckdb")
    frame = pl.DataFrame(list(events), schema=EVENTS_SCHEMA)
    known: set[str] = set()
    for hour in sorted({Hour.of(instant) for instant in frame["happened_at"]}):
        during = frame.filter(pl.col("happened_at").is_between(hour.start, hour.end, closed="left"))
        projected = project(during, hour, known_contents=known)
        warehouse.replace_hours(
            hour,
            [
                Replacement(table, projected[table.name].frame, projected[table.name].rejected)
                for table in RECORDS
            ],
        )
        known |= set(projected["training.contents"].frame["hash"])
    return Records(warehouse)


SUBJECTS = ["orders", "gardens", "bridges", "clocks", "maps", "songs", "ovens", "boats"]
ADVICE = [
    "Begin with what is known and write it down before anything is changed",
    "Measure twice at the place itself and note the weather of that day",
    "Ask the person who used it last and compare both accounts calmly",
    "Leave it alone until the cause is clear and the season has turned",
    "Replace the smallest part first and watch it for a whole week",
]


def mixed_state(sessions: int = 24) -> State:
    """Sessions of four lineages with scores, comparisons, a lock, reasoning, tools and a conversation."""
    state = State()
    for number in range(sessions):
        session = f"session-{number}"
        subject = SUBJECTS[number % len(SUBJECTS)]
        need = (
            f"Question {number}: how do I take care of {subject} number {number * 37} in a town "
            f"of {number + 3}?"
        )
        complexity = ("trivial", "standard", "complex")[number % 3]
        state.session(session, need, task_type=f"care-{number % 5}", complexity=complexity)
        for place, label in enumerate("ABCD"):
            lineage = f"{session}.{label}"
            state.agent(
                session, lineage, system="You are patient and brief.", tools=TOOLS if number % 2 else None
            )
            advice = ADVICE[(number + place) % len(ADVICE)]
            text = (
                f"{advice}. For {subject} {number * 37} that means step {place + 1} of "
                f"{number + place + 7}, {label}."
            )
            score = [9.0, 7.5, 4.0, 2.0][place]
            content: str | list[dict[str, Any]] = text
            if number % 4 == 1:
                content = called(text, number, place)
            state.answer(
                session,
                lineage,
                f"{lineage}.artifact",
                content,
                need=need,
                score=score,
                thoughts=f"The user asks about {subject}; option {label} seems to fit number {number}."
                if place < 2
                else "",
                metadata={"ground_truth": f"step {number}", "compliant": place != 1},
            )
        ids = [f"{session}.{label}.artifact" for label in "ABCD"]
        state.add(
            session,
            signals.EvaluationGiven(
                evaluation_id=f"{session}.ranking", ranking=[[ids[0]], [ids[1]], ids[2:]]
            ),
        )
        state.add(session, signals.LineageLocked(lineage_id=f"{session}.A", cycle=1))
    return state


def called(text: str, number: int, place: int) -> list[dict[str, Any]]:
    """A conversation with a tool call between question and answer."""
    arguments = (
        {"order": f"W{number}{place}"} if place % 2 else {"order": f"W{number}", "deep": {"level": place}}
    )
    return [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": f"call_{number}_{place}",
                    "type": "function",
                    "function": {"name": "look_up", "arguments": msgspec.json.encode(arguments).decode()},
                }
            ],
        },
        {
            "role": "tool",
            "tool_call_id": f"call_{number}_{place}",
            "name": "look_up",
            "content": f"found {number}",
        },
        {"role": "assistant", "content": text},
    ]


def criteria(kind: Kind, **changes: Any) -> Criteria:
    """The shipped criteria of a kind with changes."""
    from pipeline.settings.exports import default_criteria, load_criteria

    return Criteria.model_validate({**load_criteria(default_criteria(kind)).model_dump(), **changes})


def take(iterable: Iterable[Any], count: int) -> list[Any]:
    """The first items."""
    return list(itertools.islice(iterable, count))


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def rows_of(written: Written, split: str = "train", part: str = "default") -> list[dict[str, Any]]:
    facts = written.manifest["parts"][part]["splits"][split]
    lines = (written.directory / facts["jsonl"]).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
