"""Training records for the tests: events as the archive hands them over, and a session in few words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl

from pipeline.capture.kinds import Body
from pipeline.capture.signals import (
    SIGNAL_KINDS,
    AgentDefined,
    ArtifactProduced,
    AttemptFinished,
    EvaluationGiven,
    LineageCreated,
    RolloutStarted,
    SessionStarted,
)
from pipeline.hours import Hour
from pipeline.training.derived.comparing import Records
from pipeline.training.derived.computing import Derived, Inputs, derive_from, open_links, tool_calls
from pipeline.training.derived.tables import ORPHANS
from pipeline.training.projecting import EVENTS_SCHEMA, Projected, project
from pipeline.training.reading import earlier_contents
from pipeline.training.tables import (
    AGENT_DEFINITIONS,
    ARTIFACTS,
    ATTEMPTS,
    CONTENTS,
    EVALUATIONS,
    EVOLUTION_OUTCOMES,
    EVOLUTION_RECORDS,
    EXECUTION_SPANS,
    LINEAGE_LOCKS,
    RECORDS,
    ROLLOUTS,
)
from pipeline.warehouse.store import Replacement, Warehouse

HOUR = Hour(datetime(2026, 3, 1, 10, tzinfo=UTC))
NEXT = Hour(datetime(2026, 3, 1, 11, tzinfo=UTC))
LATER = Hour(datetime(2026, 3, 1, 12, tzinfo=UTC))

KIND_OF = {body: kind for kind, body in SIGNAL_KINDS.items()}

Told = tuple[str, Body]


def events(
    told: Sequence[Told], hour: Hour = HOUR, *, synthetic: bool = False, source: str | None = "test"
) -> pl.DataFrame:
    """One event a second from the start of ``hour``: session and body each."""
    rows = []
    for number, (session_id, body) in enumerate(told):
        encoded = msgspec.json.encode(body)
        rows.append(
            {
                "event_id": f"{hour.key}-{number:06d}",
                "kind": KIND_OF[type(body)],
                "subject": session_id,
                "happened_at": hour.start + timedelta(milliseconds=10 * number),
                "synthetic": synthetic,
                "application": source,
                "content_hash": hashlib.blake2b(encoded, digest_size=16).hexdigest(),
                "body": encoded.decode(),
            }
        )
    return pl.DataFrame(rows, schema=EVENTS_SCHEMA, orient="row")


def fill(warehouse: Warehouse, frame: pl.DataFrame, hour: Hour = HOUR) -> dict[str, Projected]:
    """Project the events of an hour into the warehouse, with the open links as of it."""
    projected = project(frame, hour, known_contents=earlier_contents(warehouse, hour))
    warehouse.replace_hours(
        hour, [Replacement(one, projected[one.name].frame, projected[one.name].rejected) for one in RECORDS]
    )
    warehouse.replace_hour(ORPHANS, hour, open_links(warehouse, hour))
    return dict(projected)


def derived(told: Sequence[Told], *, synthetic: bool = False) -> Derived:
    """What is computed from the records of one hour."""
    frames = {name: one.frame for name, one in project(events(told, synthetic=synthetic), HOUR).items()}
    inputs = Inputs(
        Records(
            agents=frames[AGENT_DEFINITIONS.name],
            rollouts=frames[ROLLOUTS.name],
            artifacts=frames[ARTIFACTS.name],
            evaluations=frames[EVALUATIONS.name],
            locks=frames[LINEAGE_LOCKS.name],
        ),
        attempts=frames[ATTEMPTS.name],
        evolutions=frames[EVOLUTION_RECORDS.name],
        outcomes=frames[EVOLUTION_OUTCOMES.name],
        prompts=frames[CONTENTS.name],
        tool_calls=tool_calls(frames[EXECUTION_SPANS.name]),
    )
    return derive_from(inputs, pl.Series(sorted({session for session, _ in told}), dtype=pl.String), HOUR)


def branch(
    session: str,
    label: str,
    *,
    scores: Sequence[float] = (),
    cycle: int = 1,
    version: int = 1,
    model: str | None = None,
    parameters: dict[str, object] | None = None,
    inputs: Sequence[str] = (),
) -> list[Told]:
    """A lineage of ``session`` in one cycle: an artifact ``<session>/<label>/<version>/<n>`` per score."""
    lineage, agent = f"{session}/{label}", f"{session}/{label}/{version}"
    rollout = f"{agent}/rollout/{cycle}"
    bodies: list[Body] = [
        LineageCreated(lineage_id=lineage, label=label),
        AgentDefined(
            agent_id=agent,
            lineage_id=lineage,
            version=version,
            model=model or f"model {label}",
            parameters=dict(parameters or {}),
        ),
        RolloutStarted(rollout_id=rollout, lineage_id=lineage, agent_id=agent, cycle=cycle),
    ]
    for number, score in enumerate(scores or [None]):
        artifact, attempt = f"{agent}/{number}", f"{rollout}/attempt/{number}"
        asked = inputs[number] if inputs else ""
        bodies.append(AttemptFinished(attempt_id=attempt, rollout_id=rollout, test_input=asked))
        bodies.append(
            ArtifactProduced(artifact_id=artifact, rollout_id=rollout, attempt_id=attempt, content=artifact)
        )
        if score is not None:
            bodies.append(
                EvaluationGiven(evaluation_id=f"{artifact}/score", artifact_id=artifact, score=score)
            )
    return [(session, body) for body in bodies]


def started(session: str, need: str = "a poem") -> Told:
    """A session's beginning."""
    return session, SessionStarted(user_need=need)
