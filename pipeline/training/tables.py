"""The tables of schema ``training``: columns, units, bounds and keys.

What belongs here: one pandera model per table. What does not: how rows come about (``projecting``),
tables computed from these (``derived.tables``). Nested values are JSON text. A record's row stands in
the hour its event happened in; rows over all hours, each record once, are read by ``reading``.
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from pipeline.training.derived.tables import TABLES as DERIVED
from pipeline.warehouse.tables import Table, UtcInstant

SPAN_KINDS = ["llm", "tool", "reasoning", "agent", "other"]
STATUSES = ["success", "failure", "timeout", "cancelled", "unknown"]
CONTENT_FORMATS = ["text", "markdown", "json", "diff", "code", "messages"]
EVALUATOR_KINDS = ["person", "model", "program"]
MEDIA = ["prompt", "tools", "flow", "document"]
SESSION_ENDS = ["completed", "abandoned", "failed"]

IDENTIFIER = {"min_value": 1, "max_value": 200}
LONG = {"long_text": True}
HASH = r"^[0-9a-f]{64}$"


class _Recorded(pa.DataFrameModel):
    """What every row that stands for an event has."""

    hour: UtcInstant = pa.Field(description="start of the hour the event happened in, UTC")
    session_id: pl.String = pa.Field(str_length=IDENTIFIER, description="session that the record belongs to")
    event_id: pl.String = pa.Field(description="id of the event that the row was made of")
    happened_at: UtcInstant = pa.Field(description="when it happened, UTC")
    source: pl.String = pa.Field(description="application that recorded it, for example import:tau-bench")
    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")
    content_hash: pl.String = pa.Field(
        description="hash of the event's body; two events with one hash say the same"
    )


class Contents(_Recorded):
    """A prompt, a list of tools, a flow or a document, stored once and named by its hash."""

    hash: pl.String = pa.Field(str_matches=HASH, description="SHA-256 of the text in UTF-8")
    media: pl.String = pa.Field(isin=MEDIA, description="what it is")
    text: pl.String = pa.Field(metadata=LONG, description="the content; tools and flows are JSON")

    class Config:
        strict = True


class Sessions(_Recorded):
    """What a user needed."""

    user_need: pl.String = pa.Field(metadata=LONG, description="what the user asked for")
    constraints: pl.String = pa.Field(metadata=LONG, description="JSON list of texts")
    context: pl.String = pa.Field(metadata=LONG, description="JSON object, free")
    user: pl.String = pa.Field(nullable=True, description="who asked, as the application names them")

    class Config:
        strict = True


class SessionEndings(_Recorded):
    """A session's end."""

    outcome: pl.String = pa.Field(isin=SESSION_ENDS, description="how it ended")
    reason: pl.String = pa.Field(description="why")

    class Config:
        strict = True


class Lineages(_Recorded):
    """An evolutionary branch of a session."""

    lineage_id: pl.String = pa.Field(str_length=IDENTIFIER, description="id")
    label: pl.String = pa.Field(description="how the user sees it: A, B, C …")
    approach: pl.String = pa.Field(metadata=LONG, description="what sets it apart")
    parent_lineage_id: pl.String = pa.Field(nullable=True, description="branch it was split from")

    class Config:
        strict = True


class LineageLocks(_Recorded):
    """A lineage was kept by the user, or given free again."""

    lineage_id: pl.String = pa.Field(str_length=IDENTIFIER, description="lineage")
    cycle: pl.Int64 = pa.Field(nullable=True, ge=0, description="cycle in which it was locked")
    locked: pl.Boolean = pa.Field(description="true: kept; false: given free again")
    reason: pl.String = pa.Field(metadata=LONG, description="why, in the user's words")

    class Config:
        strict = True


class Directives(_Recorded):
    """What the user asked to change, on its own or with an evaluation."""

    directive_id: pl.String = pa.Field(
        str_length={"min_value": 1, "max_value": 220},
        description="id; an evaluation's directives are its id, # and their position",
    )
    lineage_id: pl.String = pa.Field(
        nullable=True, description="lineage it is for; null: the whole session, or the evaluated artifact's"
    )
    evaluation_id: pl.String = pa.Field(nullable=True, description="evaluation that it came with")
    cycle: pl.Int64 = pa.Field(nullable=True, ge=0, description="cycle in which it was given")
    text: pl.String = pa.Field(metadata=LONG, description="what to change")
    sticky: pl.Boolean = pa.Field(description="holds until the session's end")

    class Config:
        strict = True


class AgentDefinitions(_Recorded):
    """One version of a lineage's agent."""

    agent_id: pl.String = pa.Field(str_length=IDENTIFIER, description="id")
    lineage_id: pl.String = pa.Field(str_length=IDENTIFIER, description="lineage")
    version: pl.Int64 = pa.Field(ge=0, description="number of the version in its lineage")
    name: pl.String = pa.Field(nullable=True, description="name for people")
    model: pl.String = pa.Field(nullable=True, description="model it runs on, as the application names it")
    provider: pl.String = pa.Field(nullable=True, description="who serves the model")
    system_prompt_hash: pl.String = pa.Field(
        nullable=True, str_matches=HASH, description="hash in training.contents"
    )
    tools_hash: pl.String = pa.Field(nullable=True, str_matches=HASH, description="hash in training.contents")
    flow_hash: pl.String = pa.Field(nullable=True, str_matches=HASH, description="hash in training.contents")
    parameters: pl.String = pa.Field(metadata=LONG, description="JSON object, for example temperature")
    parent_agent_id: pl.String = pa.Field(nullable=True, description="version it was made from")
    configuration_hash: pl.String = pa.Field(
        str_matches=HASH,
        description="SHA-256 over model, prompt, tools, flow and parameters: equal where two agents are the same",
    )

    class Config:
        strict = True


class Rollouts(_Recorded):
    """An agent version in one cycle."""

    rollout_id: pl.String = pa.Field(str_length=IDENTIFIER, description="id")
    lineage_id: pl.String = pa.Field(str_length=IDENTIFIER, description="lineage")
    agent_id: pl.String = pa.Field(str_length=IDENTIFIER, description="agent version")
    cycle: pl.Int64 = pa.Field(ge=0, description="rollouts of one session and cycle are compared")

    class Config:
        strict = True


class Attempts(_Recorded):
    """One run of an agent, with all that was asked and used."""

    attempt_id: pl.String = pa.Field(str_length=IDENTIFIER, description="id")
    rollout_id: pl.String = pa.Field(str_length=IDENTIFIER, description="rollout")
    number: pl.Int64 = pa.Field(ge=0, description="1 for the first, then retries")
    user_need: pl.String = pa.Field(metadata=LONG, description="what was asked")
    constraints: pl.String = pa.Field(metadata=LONG, description="JSON list of texts")
    test_input: pl.String = pa.Field(metadata=LONG, description="input the agent was tried on")
    context_documents: pl.String = pa.Field(
        metadata=LONG, description="JSON list of {name, hash}; hashes in training.contents"
    )
    prompt: pl.String = pa.Field(
        metadata=LONG, description="JSON list of messages the model saw first; [] where unknown"
    )
    status: pl.String = pa.Field(isin=STATUSES, description="how it ended")
    error: pl.String = pa.Field(metadata=LONG, description="what went wrong; empty where nothing did")
    started_at: UtcInstant = pa.Field(nullable=True, description="start")
    ended_at: UtcInstant = pa.Field(nullable=True, description="end")
    latency_ms: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "ms"}, description="from start to end"
    )
    input_tokens: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "tokens"}, description="tokens read"
    )
    output_tokens: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "tokens"}, description="tokens written"
    )
    tokens: pl.String = pa.Field(description="JSON object: all uses of tokens; {} where unknown")
    cost_usd: pl.Float64 = pa.Field(nullable=True, ge=0, metadata={"unit": "USD"}, description="what it cost")
    metadata: pl.String = pa.Field(metadata=LONG, description="JSON object, free")

    class Config:
        strict = True


class ExecutionSpans(_Recorded):
    """One step of an attempt."""

    span_id: pl.String = pa.Field(str_length=IDENTIFIER, description="id")
    attempt_id: pl.String = pa.Field(str_length=IDENTIFIER, description="attempt")
    parent_span_id: pl.String = pa.Field(nullable=True, description="span it is part of")
    continues_span_id: pl.String = pa.Field(
        nullable=True, description="span whose input and output messages stand before this one's input"
    )
    kind: pl.String = pa.Field(
        isin=SPAN_KINDS, description="call of a model or a tool, reasoning, a sub-agent, or other"
    )
    name: pl.String = pa.Field(description="tool, model call or step")
    position: pl.Int64 = pa.Field(ge=0, description="order within the attempt, from 0")
    model: pl.String = pa.Field(nullable=True, description="model called")
    input_messages: pl.String = pa.Field(
        metadata=LONG, description="JSON list of messages; only the new ones where it continues another span"
    )
    output_messages: pl.String = pa.Field(metadata=LONG, description="JSON list of messages")
    tool_call_id: pl.String = pa.Field(nullable=True, description="id of the call in the model's message")
    arguments: pl.String = pa.Field(
        nullable=True, metadata=LONG, description="JSON value: what a tool was called with"
    )
    result: pl.String = pa.Field(
        metadata=LONG, description="what a tool answered, or the text of the reasoning"
    )
    status: pl.String = pa.Field(isin=STATUSES, description="how it ended")
    error: pl.String = pa.Field(metadata=LONG, description="what went wrong; empty where nothing did")
    started_at: UtcInstant = pa.Field(nullable=True, description="start")
    ended_at: UtcInstant = pa.Field(nullable=True, description="end")
    latency_ms: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "ms"}, description="from start to end"
    )
    input_tokens: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "tokens"}, description="tokens read"
    )
    output_tokens: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "tokens"}, description="tokens written"
    )
    tokens: pl.String = pa.Field(description="JSON object: all uses of tokens; {} where unknown")
    cost_usd: pl.Float64 = pa.Field(nullable=True, ge=0, metadata={"unit": "USD"}, description="what it cost")
    attributes: pl.String = pa.Field(metadata=LONG, description="JSON object, free")

    class Config:
        strict = True


class Artifacts(_Recorded):
    """What a rollout produced."""

    artifact_id: pl.String = pa.Field(str_length=IDENTIFIER, description="id")
    rollout_id: pl.String = pa.Field(str_length=IDENTIFIER, description="rollout")
    attempt_id: pl.String = pa.Field(nullable=True, description="attempt that produced it")
    name: pl.String = pa.Field(nullable=True, description="name for people")
    content: pl.String = pa.Field(
        metadata=LONG, description="the output; format messages: JSON list of the messages after the prompt"
    )
    content_format: pl.String = pa.Field(isin=CONTENT_FORMATS, description="how to read content")
    text_hash: pl.String = pa.Field(str_matches=HASH, description="SHA-256 of content in UTF-8")
    metadata: pl.String = pa.Field(metadata=LONG, description="JSON object, free")

    class Config:
        strict = True


class Evaluations(_Recorded):
    """A score, a comment, a comparison."""

    evaluation_id: pl.String = pa.Field(str_length=IDENTIFIER, description="id")
    artifact_id: pl.String = pa.Field(
        nullable=True, description="what is scored; null for a comparison alone"
    )
    cycle: pl.Int64 = pa.Field(nullable=True, ge=0, description="cycle it belongs to")
    score: pl.Float64 = pa.Field(
        nullable=True,
        ge=1,
        le=10,
        metadata={"unit": "points 1-10"},
        description="rating; null where none was given",
    )
    raw_score: pl.Float64 = pa.Field(
        nullable=True, metadata={"unit": "as raw_scale"}, description="rating as the evaluator gave it"
    )
    raw_scale: pl.String = pa.Field(nullable=True, description="the evaluator's own scale, for example 0-1")
    comment: pl.String = pa.Field(metadata=LONG, description="in the evaluator's words")
    directives: pl.String = pa.Field(metadata=LONG, description="JSON list of texts: what to change")
    ranking: pl.String = pa.Field(
        metadata=LONG,
        description="JSON list of groups of artifact ids, best first, ties in one group; [] for no comparison",
    )
    preference: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        metadata={"unit": "0-1"},
        description="stated probability that the first group beats the second",
    )
    evaluator: pl.String = pa.Field(description="who judged")
    evaluator_kind: pl.String = pa.Field(isin=EVALUATOR_KINDS, description="a person, a model or a program")
    cost_usd: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "USD"}, description="what judging cost"
    )

    class Config:
        strict = True


class EvolutionRecords(_Recorded):
    """A change of an agent and why it was made."""

    evolution_id: pl.String = pa.Field(str_length=IDENTIFIER, description="id")
    lineage_id: pl.String = pa.Field(str_length=IDENTIFIER, description="lineage")
    before_agent_id: pl.String = pa.Field(str_length=IDENTIFIER, description="version before")
    after_agent_id: pl.String = pa.Field(str_length=IDENTIFIER, description="version after")
    cycle: pl.Int64 = pa.Field(nullable=True, ge=0, description="cycle after which it was made")
    changes: pl.String = pa.Field(metadata=LONG, description="JSON list of texts: what was changed")
    hypothesis: pl.String = pa.Field(metadata=LONG, description="why it should help")
    expected_delta: pl.Float64 = pa.Field(
        nullable=True,
        metadata={"unit": "points 1-10"},
        description="change of score hoped for; null: any rise",
    )
    directive_ids: pl.String = pa.Field(description="JSON list of directive ids that led to it")

    class Config:
        strict = True


class EvolutionOutcomes(_Recorded):
    """What somebody states about an evolution afterwards; the computed verdict is in evolution_verdicts."""

    evolution_id: pl.String = pa.Field(str_length=IDENTIFIER, description="evolution")
    score_delta: pl.Float64 = pa.Field(
        nullable=True, metadata={"unit": "points 1-10"}, description="change of score, as stated"
    )
    validated: pl.Boolean = pa.Field(nullable=True, description="hypothesis held, as stated")
    comment: pl.String = pa.Field(metadata=LONG, description="in words")

    class Config:
        strict = True


class LearningInsights(_Recorded):
    """A pattern that somebody noted; computed ones are in learning_patterns."""

    insight_id: pl.String = pa.Field(str_length=IDENTIFIER, description="id")
    pattern: pl.String = pa.Field(metadata=LONG, description="the pattern in short")
    description: pl.String = pa.Field(metadata=LONG, description="the pattern at length")
    lineage_id: pl.String = pa.Field(nullable=True, description="lineage it was seen in")
    evidence_ids: pl.String = pa.Field(description="JSON list of record ids")
    confidence: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata={"unit": "0-1"}, description="as stated"
    )

    class Config:
        strict = True


RECORD_COLUMNS = ("hour", "session_id", "event_id", "happened_at", "source", "synthetic", "content_hash")
"""Columns that every record's table begins with."""

CONTENTS = Table("training.contents", Contents, ("hash",), "Prompts, tools, flows and documents by hash.")
SESSIONS = Table("training.sessions", Sessions, ("session_id",), "What users needed.")
SESSION_ENDINGS = Table("training.session_endings", SessionEndings, ("session_id",), "How sessions ended.")
LINEAGES = Table("training.lineages", Lineages, ("lineage_id",), "Evolutionary branches of sessions.")
LINEAGE_LOCKS = Table("training.lineage_locks", LineageLocks, ("event_id",), "Lineages that users kept.")
DIRECTIVES = Table("training.directives", Directives, ("directive_id",), "What users asked to change.")
AGENT_DEFINITIONS = Table(
    "training.agent_definitions", AgentDefinitions, ("agent_id",), "Versions of agents."
)
ROLLOUTS = Table("training.rollouts", Rollouts, ("rollout_id",), "Agent versions by cycle.")
ATTEMPTS = Table("training.attempts", Attempts, ("attempt_id",), "Runs of agents with their input and cost.")
EXECUTION_SPANS = Table("training.execution_spans", ExecutionSpans, ("span_id",), "Steps of attempts.")
ARTIFACTS = Table("training.artifacts", Artifacts, ("artifact_id",), "What rollouts produced.")
EVALUATIONS = Table("training.evaluations", Evaluations, ("evaluation_id",), "Scores, comments, comparisons.")
EVOLUTION_RECORDS = Table(
    "training.evolution_records", EvolutionRecords, ("evolution_id",), "Changes of agents and why."
)
EVOLUTION_OUTCOMES = Table(
    "training.evolution_outcomes", EvolutionOutcomes, ("event_id",), "Outcomes as stated."
)
LEARNING_INSIGHTS = Table(
    "training.learning_insights", LearningInsights, ("insight_id",), "Patterns as noted."
)

RECORDS = (
    CONTENTS,
    SESSIONS,
    SESSION_ENDINGS,
    LINEAGES,
    LINEAGE_LOCKS,
    DIRECTIVES,
    AGENT_DEFINITIONS,
    ROLLOUTS,
    ATTEMPTS,
    EXECUTION_SPANS,
    ARTIFACTS,
    EVALUATIONS,
    EVOLUTION_RECORDS,
    EVOLUTION_OUTCOMES,
    LEARNING_INSIGHTS,
)
"""Tables whose rows are recorded events."""

TABLES = (*RECORDS, *DERIVED)
