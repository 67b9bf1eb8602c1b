"""The models of tables in which a row is made of events: columns, units, bounds.

What belongs here: one pandera model per such table. What does not: their keys and the tables made of many
events (``tables``). Bounds are those of the event types in ``pipeline.capture.events``.
"""

from __future__ import annotations

import pandera.polars as pa
import polars as pl

from pipeline.warehouse.tables import Texts, UtcInstant

COMPLEXITIES = ["trivial", "standard", "complex"]
TOOL_OUTCOMES = ["success", "failure", "timeout", "refused"]
RUBRIC_PARTS = ["format", "tool", "task", "minimal", "cost", "safety"]

_NAME = {"min_value": 1, "max_value": 200}
_JSON = {"long_text": True, "unit": "JSON"}
_TEXT = {"long_text": True}
_MS, _SHARE, _TOKENS, _USD = {"unit": "ms"}, {"unit": "0-1"}, {"unit": "tokens"}, {"unit": "USD"}


class Event(pa.DataFrameModel):
    """What every row made of one event has."""

    hour: UtcInstant = pa.Field(description="start of the hour, UTC; the event's own hour")
    event_id: pl.String = pa.Field(
        str_length={"min_value": 26, "max_value": 26}, description="ULID of the event"
    )
    process: pl.String = pa.Field(
        str_length={"min_value": 26, "max_value": 26}, description="ULID of the recording process"
    )
    sequence: pl.Int64 = pa.Field(
        ge=0,
        description="number of the event within its process, from 1; 0 where a recorder spoke beside the count",
    )
    happened_at: UtcInstant = pa.Field(description="when it happened, by the wall clock of its host")
    synthetic: pl.Boolean = pa.Field(description="made by a simulator or stub")
    task_id: pl.String = pa.Field(description="the task, as the application names it")
    host: pl.String = pa.Field(nullable=True, description="machine that recorded it")
    application: pl.String = pa.Field(
        nullable=True, description="application that recorded it; null where it gave no name"
    )
    library: pl.String = pa.Field(nullable=True, description="version of the recording library")


class Tasks(Event):
    """One task that came in (task_received)."""

    task_type: pl.String = pa.Field(str_length=_NAME, description="kind of task, as the application names it")
    complexity: pl.String = pa.Field(isin=COMPLEXITIES, description="trivial, standard or complex")
    description: pl.String = pa.Field(nullable=True, metadata=_TEXT, description="what is asked for")
    requirements: Texts = pa.Field(description="what an agent must be able to do")
    context: pl.String = pa.Field(
        nullable=True, metadata=_JSON, description="what came with the task, a JSON object"
    )
    session_id: pl.String = pa.Field(nullable=True, description="session that the task belongs to")
    parent_task_id: pl.String = pa.Field(nullable=True, description="task that this one is a part of")

    class Config:
        strict = True


class RoutingDecisions(Event):
    """One decision who gets a task (routing_decided); every candidate with score and reason."""

    agent: pl.String = pa.Field(str_length=_NAME, description="the agent chosen")
    strategy: pl.String = pa.Field(str_length=_NAME, description="how it was chosen")  # type: ignore[assignment]
    confidence: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="how sure the router was"
    )
    propensity: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        metadata=_SHARE,
        description="probability with which the strategy chose this agent here",
    )
    explored: pl.Boolean = pa.Field(nullable=True, description="chosen in order to learn")
    routing_ms: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_MS, description="how long the decision took"
    )
    candidate_count: pl.Int64 = pa.Field(ge=0, description="agents that could have got the task")
    candidates: pl.String = pa.Field(
        nullable=True, metadata=_JSON, description="list of {agent, score, reason, eligible}"
    )
    rationale: pl.String = pa.Field(nullable=True, metadata=_TEXT, description="why, in words")

    class Config:
        strict = True


class TaskExecutions(Event):
    """One execution of a task by an agent: its start and its end joined by execution_id within the hour.

    Where both were recorded in the hour, event_id, process, sequence and happened_at are those of the end;
    ``has_start`` and ``has_end`` say which were. A retry is an execution of its own with the next attempt.
    """

    execution_id: pl.String = pa.Field(
        str_length=_NAME, description="the execution, as the application names it"
    )
    agent: pl.String = pa.Field(str_length=_NAME, description="who worked")
    agent_version: pl.String = pa.Field(nullable=True, description="version of the agent")
    model: pl.String = pa.Field(nullable=True, description="model that the agent used")
    attempt: pl.Int64 = pa.Field(ge=0, description="1 for the first try")
    has_start: pl.Boolean = pa.Field(description="its start was recorded in this hour")
    has_end: pl.Boolean = pa.Field(description="its end was recorded in this hour")
    start_event_id: pl.String = pa.Field(nullable=True, description="event of the start")
    started_at: UtcInstant = pa.Field(nullable=True, description="when it began")
    completed_at: UtcInstant = pa.Field(nullable=True, description="when it ended")
    success: pl.Boolean = pa.Field(nullable=True, description="it ended well")
    failure_reason: pl.String = pa.Field(nullable=True, description="why it did not, as a label")
    failure_message: pl.String = pa.Field(
        nullable=True, metadata=_TEXT, description="why it did not, in words"
    )
    latency_ms: pl.Float64 = pa.Field(
        nullable=True,
        ge=0,
        metadata=_MS,
        description="as the application measured it, else from start to end",
    )
    time_to_first_action_ms: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_MS, description="until the agent first did something"
    )
    tokens_total: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata=_TOKENS, description="input, output and tool tokens"
    )
    tokens_input: pl.Int64 = pa.Field(nullable=True, ge=0, metadata=_TOKENS, description="input")
    tokens_output: pl.Int64 = pa.Field(nullable=True, ge=0, metadata=_TOKENS, description="output")
    tokens_cached: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata=_TOKENS, description="the cached part of input"
    )
    tokens_reasoning: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata=_TOKENS, description="the reasoning part of output"
    )
    tokens_tool: pl.Int64 = pa.Field(nullable=True, ge=0, metadata=_TOKENS, description="tool use")
    cost_usd: pl.Float64 = pa.Field(nullable=True, ge=0, metadata=_USD, description="what it cost")
    cpu_seconds: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "s"}, description="processor time"
    )
    peak_memory_megabytes: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "MB"}, description="most memory held"
    )
    network_bytes: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata={"unit": "bytes"}, description="network traffic"
    )
    tool_call_count: pl.Int64 = pa.Field(
        nullable=True, ge=0, description="tool calls, as the application counted them"
    )
    output: pl.String = pa.Field(nullable=True, metadata=_TEXT, description="what the agent produced")

    class Config:
        strict = True


class ToolCalls(Event):
    """One call of a tool (tool_called)."""

    tool: pl.String = pa.Field(str_length=_NAME, description="the tool")
    execution_id: pl.String = pa.Field(nullable=True, description="execution it belongs to")
    agent: pl.String = pa.Field(nullable=True, description="who called")
    outcome: pl.String = pa.Field(isin=TOOL_OUTCOMES, description="success, failure, timeout or refused")
    duration_ms: pl.Float64 = pa.Field(nullable=True, ge=0, metadata=_MS, description="how long it took")
    turn: pl.Int64 = pa.Field(nullable=True, ge=0, description="turn of the conversation")
    arguments: pl.String = pa.Field(nullable=True, metadata=_JSON, description="arguments")
    result: pl.String = pa.Field(nullable=True, metadata=_TEXT, description="result")
    error: pl.String = pa.Field(nullable=True, metadata=_TEXT, description="error message")

    class Config:
        strict = True


class CawsEvaluations(Event):
    """One evaluation of an execution (evaluation_finished): gates, rubric, minimality, rewards, budget."""

    execution_id: pl.String = pa.Field(nullable=True, description="execution that was evaluated")
    agent: pl.String = pa.Field(nullable=True, description="whose work it was")
    evaluator: pl.String = pa.Field(str_length=_NAME, description="who evaluated")
    overall_score: pl.Float64 = pa.Field(ge=0, le=1, metadata=_SHARE, description="what it is worth")
    compliant: pl.Boolean = pa.Field(
        nullable=True, description="it keeps the rules; where not said, all gates passed"
    )
    gate_count: pl.Int64 = pa.Field(ge=0, description="quality gates")
    gates_passed: pl.Int64 = pa.Field(ge=0, description="quality gates passed")
    rubric_format: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: format"
    )
    rubric_tool: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: tool use"
    )
    rubric_task: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: the task itself"
    )
    rubric_minimal: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: minimality"
    )
    rubric_cost: pl.Float64 = pa.Field(nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: cost")
    rubric_safety: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="rubric: safety"
    )
    files_changed: pl.Int64 = pa.Field(nullable=True, ge=0, description="files changed")
    lines_added: pl.Int64 = pa.Field(nullable=True, ge=0, description="lines added")
    lines_removed: pl.Int64 = pa.Field(nullable=True, ge=0, description="lines removed")
    similarity: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="likeness of the code before and after"
    )
    scaffolding_penalty: pl.Float64 = pa.Field(
        nullable=True, ge=0, le=1, metadata=_SHARE, description="for code around the task"
    )
    reward_total: pl.Float64 = pa.Field(nullable=True, description="sum of the rewards of the turns")
    turn_count: pl.Int64 = pa.Field(ge=0, description="turns that got a reward")
    within_budget: pl.Boolean = pa.Field(nullable=True, description="the task stayed within its budget")
    files_limit: pl.Int64 = pa.Field(nullable=True, ge=0, description="files it was allowed to change")
    files_used: pl.Int64 = pa.Field(nullable=True, ge=0, description="files it changed")
    lines_limit: pl.Int64 = pa.Field(nullable=True, ge=0, description="lines it was allowed to change")
    lines_used: pl.Int64 = pa.Field(nullable=True, ge=0, description="lines it changed")
    tokens_limit: pl.Int64 = pa.Field(
        nullable=True, ge=0, metadata=_TOKENS, description="tokens it was allowed to use"
    )
    tokens_used: pl.Int64 = pa.Field(nullable=True, ge=0, metadata=_TOKENS, description="tokens it used")
    evaluation_ms: pl.Float64 = pa.Field(
        nullable=True, ge=0, metadata=_MS, description="how long the evaluation took"
    )
    quality_gates: pl.String = pa.Field(
        nullable=True, metadata=_JSON, description="list of {name, passed, score, threshold, message}"
    )
    turn_rewards: pl.String = pa.Field(
        nullable=True, metadata=_JSON, description="list of {turn, reward, reason}"
    )
    feedback: pl.String = pa.Field(nullable=True, metadata=_TEXT, description="what the evaluator says")
    judge_reasoning: pl.String = pa.Field(
        nullable=True, metadata=_TEXT, description="how a judging model reasoned"
    )

    class Config:
        strict = True


class DeepAnalyses(Event):
    """One deep look at a sampled task (deep_analysis)."""

    execution_id: pl.String = pa.Field(nullable=True, description="execution that was looked at")
    agent: pl.String = pa.Field(nullable=True, description="whose work it was")
    message_count: pl.Int64 = pa.Field(ge=0, description="messages of the conversation")
    conversation: pl.String = pa.Field(nullable=True, metadata=_JSON, description="list of messages")
    language: pl.String = pa.Field(nullable=True, description="programming language of the code")
    code_before: pl.String = pa.Field(nullable=True, metadata=_TEXT, description="code before")
    code_after: pl.String = pa.Field(nullable=True, metadata=_TEXT, description="code after")
    ast_metrics: pl.String = pa.Field(
        nullable=True, metadata=_JSON, description="figures that the application computed itself, by name"
    )
    judge_reasoning: pl.String = pa.Field(
        nullable=True, metadata=_TEXT, description="how a judging model reasoned"
    )
    self_reflection: pl.String = pa.Field(
        nullable=True, metadata=_TEXT, description="what the agent says of its work"
    )

    class Config:
        strict = True


class RecorderReports(Event):
    """One report of a recorder on itself (recorder_started, recorder_report, recorder_stopped), its body as
    JSON."""

    kind: pl.String = pa.Field(description="recorder_started, recorder_report or recorder_stopped")
    report: pl.String = pa.Field(metadata=_JSON, description="counters and times as the recorder gives them")

    class Config:
        strict = True
