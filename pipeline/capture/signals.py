"""Training records as events: sessions, lineages, agents, rollouts, attempts, spans, artifacts, verdicts.

What belongs here: one body per kind of training record, and per fact that is appended to one later. What does
not: the life of a task (``events``), helpers that record these (``recording_signals``), tables
(``pipeline.training``).

The tree: a session has lineages (A, B, C …); a lineage has agent versions; a version runs in rollouts,
one per cycle; a rollout has attempts, an attempt has spans; a rollout or attempt produces artifacts, and
artifacts get evaluations. Evolutions lead from one agent version to the next. The envelope's ``subject``
is the session's id, so that bodies name their parent only.

Nothing is updated: what is learnt later about a record (a lock, a directive, an outcome, an end) is an
event of its own. An attempt and a span are recorded once, at their end, with both times; a process that
is killed leaves spans without their attempt, and the projection reports them. Texts that repeat (system
prompts, tools, flows, documents) are recorded once as ``content_stored`` and named by their SHA-256
elsewhere.

Instants are nanoseconds since 1970 UTC.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from pipeline.capture.events import Message, Part, Tokens
from pipeline.capture.kinds import Amount, Body, Count, Name, Share, Text, register

ContentHash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
"""SHA-256 of a content's UTF-8 bytes, in hexadecimal."""

Score = Annotated[float, msgspec.Meta(ge=1, le=10)]
"""A person's rating: 1 (worst) to 10 (best)."""

Instant = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000_000_000)]
"""Nanoseconds since 1970 UTC."""

Media = Literal["prompt", "tools", "flow", "document"]
SpanKind = Literal["llm", "tool", "reasoning", "agent", "other"]
Status = Literal["success", "failure", "timeout", "cancelled", "unknown"]
SessionEnd = Literal["completed", "abandoned", "failed"]
EvaluatorKind = Literal["person", "model", "program"]
ContentFormat = Literal["text", "markdown", "json", "diff", "code", "messages"]


class ContentStored(Body, frozen=True, kw_only=True):
    """A text that records name by its hash: a system prompt, tools, a flow, a document (JSON or text)."""

    text_fields: ClassVar[tuple[str, ...]] = ("text",)

    hash: ContentHash
    media: Media
    text: Text = ""


class SessionStarted(Body, frozen=True, kw_only=True):
    """What a user needs, and within which constraints; the subject is the session's id."""

    text_fields: ClassVar[tuple[str, ...]] = ("user_need", "constraints", "context")

    user_need: Text = ""
    constraints: list[Text] = []
    context: dict[str, Any] = {}
    user: Name | None = None


class SessionEnded(Body, frozen=True, kw_only=True):
    """A session is over."""

    text_fields: ClassVar[tuple[str, ...]] = ("reason",)

    outcome: SessionEnd
    reason: Text = ""


class LineageCreated(Body, frozen=True, kw_only=True):
    """One evolutionary branch of a session: its label for the user (A, B …) and the strategy it follows."""

    text_fields: ClassVar[tuple[str, ...]] = ("strategy",)

    lineage_id: Name
    label: Name
    strategy: Text = ""
    parent_lineage_id: Name | None = None


class LineageLocked(Body, frozen=True, kw_only=True):
    """The user kept a lineage (or, with ``locked`` false, gave it free again) in a cycle."""

    text_fields: ClassVar[tuple[str, ...]] = ("reason",)

    lineage_id: Name
    cycle: Count | None = None
    locked: bool = True
    reason: Text = ""


class DirectiveGiven(Body, frozen=True, kw_only=True):
    """What the user asked to change; ``sticky`` ones hold until the session's end."""

    text_fields: ClassVar[tuple[str, ...]] = ("text",)

    directive_id: Name
    lineage_id: Name | None = None
    cycle: Count | None = None
    text: Text = ""
    sticky: bool = False


class AgentDefined(Body, frozen=True, kw_only=True):
    """One version of a lineage's agent: all that decides what it does.

    ``system_prompt_hash``, ``tools_hash`` and ``flow_hash`` name stored contents (tools and flow as JSON).
    """

    agent_id: Name
    lineage_id: Name
    version: Count
    name: Name | None = None
    model: Name | None = None
    provider: Name | None = None
    system_prompt_hash: ContentHash | None = None
    tools_hash: ContentHash | None = None
    flow_hash: ContentHash | None = None
    parameters: dict[str, Any] = {}
    parent_agent_id: Name | None = None


class RolloutStarted(Body, frozen=True, kw_only=True):
    """An agent version runs in a cycle; rollouts of one session and cycle are compared with each other."""

    rollout_id: Name
    lineage_id: Name
    agent_id: Name
    cycle: Count = 1


class ContextDocument(Part, frozen=True, kw_only=True):
    """A document the agent was given, by the hash of its stored content."""

    name: Name
    hash: ContentHash


class AttemptFinished(Body, frozen=True, kw_only=True):
    """One run of an agent, recorded at its end: what was asked, how it ended, what it used.

    ``prompt`` is the conversation as the model saw it first, so that two attempts can be compared byte
    by byte. ``latency_ms`` is the time from start to end where both are known; ``number`` counts retries
    from 1.
    """

    text_fields: ClassVar[tuple[str, ...]] = ("user_need", "constraints", "test_input", "prompt", "error")

    attempt_id: Name
    rollout_id: Name
    number: Count = 1
    user_need: Text = ""
    constraints: list[Text] = []
    test_input: Text = ""
    context_documents: list[ContextDocument] = []
    prompt: list[Message] = []
    status: Status = "unknown"
    error: Text = ""
    started_at: Instant | None = None
    ended_at: Instant | None = None
    latency_ms: Amount | None = None
    tokens: Tokens | None = None
    cost_usd: Amount | None = None
    metadata: dict[str, Any] = {}


class SpanFinished(Body, frozen=True, kw_only=True):
    """One step of an attempt, recorded at its end: a call of a model or a tool, a piece of reasoning.

    ``position`` orders the spans of an attempt from 0. A span of kind ``llm`` has messages; where
    ``continues_span_id`` is set, ``input_messages`` holds only what came after that span's own input and
    output, since a conversation would otherwise be kept once per turn. A span of kind ``tool`` has
    ``arguments`` and ``result``, one of kind ``reasoning`` its text in ``result``.
    """

    text_fields: ClassVar[tuple[str, ...]] = (
        "input_messages",
        "output_messages",
        "arguments",
        "result",
        "error",
    )

    span_id: Name
    attempt_id: Name
    kind: SpanKind
    name: Name = "span"
    position: Count = 0
    parent_span_id: Name | None = None
    continues_span_id: Name | None = None
    model: Name | None = None
    input_messages: list[Message] = []
    output_messages: list[Message] = []
    tool_call_id: Name | None = None
    arguments: Any = None
    result: Text = ""
    status: Status = "unknown"
    error: Text = ""
    started_at: Instant | None = None
    ended_at: Instant | None = None
    latency_ms: Amount | None = None
    tokens: Tokens | None = None
    cost_usd: Amount | None = None
    attributes: dict[str, Any] = {}


class ArtifactProduced(Body, frozen=True, kw_only=True):
    """What a rollout produced. Format ``messages`` is a JSON list of the messages after the prompt."""

    text_fields: ClassVar[tuple[str, ...]] = ("content",)

    artifact_id: Name
    rollout_id: Name
    attempt_id: Name | None = None
    name: Name | None = None
    content: Text = ""
    content_format: ContentFormat = "text"
    metadata: dict[str, Any] = {}


class EvaluationGiven(Body, frozen=True, kw_only=True):
    """What somebody thinks of an artifact, or of several in comparison.

    ``ranking`` lists groups of artifact ids, best group first; ids in one group are tied. ``preference``
    is the probability, as the evaluator states it, that the first group beats the second; null where
    none is stated. ``raw_score`` and ``raw_scale`` keep the evaluator's own scale (for example 0-1)
    beside the score of 1 to 10.
    """

    text_fields: ClassVar[tuple[str, ...]] = ("comment", "directives")

    evaluation_id: Name
    artifact_id: Name | None = None
    cycle: Count | None = None
    score: Score | None = None
    raw_score: float | None = None
    raw_scale: Name | None = None
    comment: Text = ""
    directives: list[Text] = []
    ranking: list[list[Name]] = []
    preference: Share | None = None
    evaluator: Name = "user"
    evaluator_kind: EvaluatorKind = "person"
    cost_usd: Amount | None = None


class EvolutionRecorded(Body, frozen=True, kw_only=True):
    """An agent was changed: from which version to which, what was changed, and what that should achieve."""

    text_fields: ClassVar[tuple[str, ...]] = ("changes", "hypothesis")

    evolution_id: Name
    lineage_id: Name
    before_agent_id: Name
    after_agent_id: Name
    cycle: Count | None = None
    changes: list[Text] = []
    hypothesis: Text = ""
    expected_delta: float | None = None
    directive_ids: list[Name] = []


class EvolutionOutcome(Body, frozen=True, kw_only=True):
    """What became of an evolution as somebody states it; the computed verdict is a table's."""

    text_fields: ClassVar[tuple[str, ...]] = ("comment",)

    evolution_id: Name
    score_delta: float | None = None
    validated: bool | None = None
    comment: Text = ""


class InsightNoted(Body, frozen=True, kw_only=True):
    """A pattern that somebody noticed; patterns that are computed stand in a table of their own."""

    text_fields: ClassVar[tuple[str, ...]] = ("pattern", "description")

    insight_id: Name
    pattern: Text = ""
    description: Text = ""
    lineage_id: Name | None = None
    evidence_ids: list[Name] = []
    confidence: Share | None = None


SIGNAL_KINDS: dict[str, type[Body]] = {
    "content_stored": ContentStored,
    "session_started": SessionStarted,
    "session_ended": SessionEnded,
    "lineage_created": LineageCreated,
    "lineage_locked": LineageLocked,
    "directive_given": DirectiveGiven,
    "agent_defined": AgentDefined,
    "rollout_started": RolloutStarted,
    "attempt_finished": AttemptFinished,
    "span_finished": SpanFinished,
    "artifact_produced": ArtifactProduced,
    "evaluation_given": EvaluationGiven,
    "evolution_recorded": EvolutionRecorded,
    "evolution_outcome": EvolutionOutcome,
    "insight_noted": InsightNoted,
}
"""The kinds of training records and of facts appended to them."""

for _kind, _body in SIGNAL_KINDS.items():
    register(_kind, _body)
