"""From one event's body to the row of its table.

What belongs here: one small function per kind of training record. What does not: reading events, hours,
duplicates (``projecting``). Instants stay integers here (microseconds since 1970 UTC) until the frame is
made; what is nested becomes JSON text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pipeline.capture import signals
from pipeline.capture.kinds import Body
from pipeline.training import tables
from pipeline.warehouse.tables import Table

Row = dict[str, Any]

_encoder = msgspec.json.Encoder()
_ordered = msgspec.json.Encoder(order="deterministic")


def json_text(value: Any) -> str:
    """A value as compact JSON."""
    return _encoder.encode(value).decode()


def text_hash(text: str) -> str:
    """SHA-256 of the text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _microseconds(instant: int | None) -> int | None:
    return None if instant is None else instant // 1000


def _fields(body: Body, *names: str) -> Row:
    return {name: getattr(body, name) for name in names}


def _usage(body: signals.AttemptFinished | signals.SpanFinished) -> Row:
    """What an attempt or a span used, and when it ran; where only the times are known, the latency too."""
    latency = body.latency_ms
    if latency is None and body.started_at is not None and body.ended_at is not None:
        latency = max(0.0, (body.ended_at - body.started_at) / 1e6)
    return {
        "status": body.status,
        "error": body.error,
        "started_at": _microseconds(body.started_at),
        "ended_at": _microseconds(body.ended_at),
        "latency_ms": latency,
        "input_tokens": None if body.tokens is None else body.tokens.input,
        "output_tokens": None if body.tokens is None else body.tokens.output,
        "tokens": "{}" if body.tokens is None else json_text(body.tokens),
        "cost_usd": body.cost_usd,
    }


def _session(body: signals.SessionStarted) -> Row:
    return {
        "user_need": body.user_need,
        "constraints": json_text(body.constraints),
        "context": json_text(body.context),
        "user": body.user,
    }


def _lineage(body: signals.LineageCreated) -> Row:
    return {**_fields(body, "lineage_id", "label", "parent_lineage_id"), "approach": body.strategy}


def _agent(body: signals.AgentDefined) -> Row:
    deciding = ("model", "provider", "system_prompt_hash", "tools_hash", "flow_hash")
    configuration = _ordered.encode({**_fields(body, *deciding), "parameters": body.parameters})
    return {
        **_fields(body, "agent_id", "lineage_id", "version", "name", "parent_agent_id", *deciding),
        "parameters": json_text(body.parameters),
        "configuration_hash": hashlib.sha256(configuration).hexdigest(),
    }


def _attempt(body: signals.AttemptFinished) -> Row:
    return {
        **_fields(body, "attempt_id", "rollout_id", "number", "user_need", "test_input"),
        "constraints": json_text(body.constraints),
        "context_documents": json_text(body.context_documents),
        "prompt": json_text(body.prompt),
        "metadata": json_text(body.metadata),
        **_usage(body),
    }


def _span(body: signals.SpanFinished) -> Row:
    return {
        **_fields(body, "span_id", "attempt_id", "parent_span_id", "continues_span_id", "kind", "name"),
        **_fields(body, "position", "model", "tool_call_id", "result"),
        "input_messages": json_text(body.input_messages),
        "output_messages": json_text(body.output_messages),
        "arguments": None if body.arguments is None else json_text(body.arguments),
        "attributes": json_text(body.attributes),
        **_usage(body),
    }


def _artifact(body: signals.ArtifactProduced) -> Row:
    return {
        **_fields(body, "artifact_id", "rollout_id", "attempt_id", "name", "content", "content_format"),
        "text_hash": text_hash(body.content),
        "metadata": json_text(body.metadata),
    }


def _evaluation(body: signals.EvaluationGiven) -> Row:
    return {
        **_fields(body, "evaluation_id", "artifact_id", "cycle", "score", "raw_score", "raw_scale"),
        **_fields(body, "comment", "preference", "evaluator", "evaluator_kind", "cost_usd"),
        "directives": json_text(body.directives),
        "ranking": json_text(body.ranking),
    }


def _evolution(body: signals.EvolutionRecorded) -> Row:
    return {
        **_fields(body, "evolution_id", "lineage_id", "before_agent_id", "after_agent_id", "cycle"),
        **_fields(body, "hypothesis", "expected_delta"),
        "changes": json_text(body.changes),
        "directive_ids": json_text(body.directive_ids),
    }


def _insight(body: signals.InsightNoted) -> Row:
    return {
        **_fields(body, "insight_id", "pattern", "description", "lineage_id", "confidence"),
        "evidence_ids": json_text(body.evidence_ids),
    }


def _directive(body: signals.DirectiveGiven) -> Row:
    return {
        **_fields(body, "directive_id", "lineage_id", "cycle", "text", "sticky"),
        "evaluation_id": None,
    }


def evaluation_directives(body: signals.EvaluationGiven) -> list[Row]:
    """The directives that came with an evaluation, as rows of their own."""
    return [
        {
            "directive_id": f"{body.evaluation_id}#{position}",
            "lineage_id": None,
            "evaluation_id": body.evaluation_id,
            "cycle": body.cycle,
            "text": text,
            "sticky": False,
        }
        for position, text in enumerate(body.directives)
    ]


def _plain(*names: str) -> Callable[[Any], Row]:
    return lambda body: _fields(body, *names)


TABLE_OF_KIND: Mapping[str, tuple[Table, Callable[[Any], Row]]] = {
    "content_stored": (tables.CONTENTS, _plain("hash", "media", "text")),
    "session_started": (tables.SESSIONS, _session),
    "session_ended": (tables.SESSION_ENDINGS, _plain("outcome", "reason")),
    "lineage_created": (tables.LINEAGES, _lineage),
    "lineage_locked": (tables.LINEAGE_LOCKS, _plain("lineage_id", "cycle", "locked", "reason")),
    "directive_given": (tables.DIRECTIVES, _directive),
    "agent_defined": (tables.AGENT_DEFINITIONS, _agent),
    "rollout_started": (tables.ROLLOUTS, _plain("rollout_id", "lineage_id", "agent_id", "cycle")),
    "attempt_finished": (tables.ATTEMPTS, _attempt),
    "span_finished": (tables.EXECUTION_SPANS, _span),
    "artifact_produced": (tables.ARTIFACTS, _artifact),
    "evaluation_given": (tables.EVALUATIONS, _evaluation),
    "evolution_recorded": (tables.EVOLUTION_RECORDS, _evolution),
    "evolution_outcome": (
        tables.EVOLUTION_OUTCOMES,
        _plain("evolution_id", "score_delta", "validated", "comment"),
    ),
    "insight_noted": (tables.LEARNING_INSIGHTS, _insight),
}
"""The table of each kind, and what makes its row."""
