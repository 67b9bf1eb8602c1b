"""The life of a task as events: received, routed, executed, evaluated, analysed.

What belongs here: one body per kind of event of a task, with units in the names and bounds in the types.
What does not: training records (``signals``), the envelope that every event travels in (``envelope``).

Fields follow the project's data collection strategy: every routing decision, every execution, every
evaluation, a sample of deep analyses.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from pipeline.capture.kinds import Amount, Body, Count, Name, Share, Text, register

Complexity = Literal["trivial", "standard", "complex"]
ToolOutcome = Literal["success", "failure", "timeout", "refused"]


class Part(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A group of fields inside a body."""


class TaskReceived(Body, frozen=True, kw_only=True):
    """A task came in: what it is and what it asks for."""

    text_fields: ClassVar[tuple[str, ...]] = ("description", "context")

    task_type: Name
    complexity: Complexity = "standard"
    description: Text = ""
    requirements: list[Name] = []
    context: dict[str, Any] = {}
    session_id: Name | None = None
    parent_task_id: Name | None = None


class Candidate(Part, frozen=True, kw_only=True):
    """An agent that could have got the task: its score (any scale, higher is better) and why."""

    agent: Name
    score: float | None = None
    reason: Text = ""
    eligible: bool = True


class RoutingDecided(Body, frozen=True, kw_only=True):
    """Who gets the task, out of whom, by which strategy.

    ``propensity`` is the probability with which the strategy chose this agent in this context (0 excluded);
    judging other policies offline needs it.
    """

    text_fields: ClassVar[tuple[str, ...]] = ("rationale",)

    selected_agent: Name
    candidates: list[Candidate] = []
    strategy: Name = "unknown"
    confidence: Share | None = None
    rationale: Text = ""
    propensity: Share | None = None
    explored: bool | None = None
    routing_ms: Amount | None = None


class ExecutionStarted(Body, frozen=True, kw_only=True):
    """An agent began to work; a retry is an execution of its own with the next ``attempt``."""

    execution_id: Name
    agent: Name
    agent_version: Name | None = None
    model: Name | None = None
    attempt: Count = 1


class ToolCalled(Body, frozen=True, kw_only=True):
    """One call of a tool: arguments, outcome, duration."""

    text_fields: ClassVar[tuple[str, ...]] = ("arguments", "result", "error")

    tool: Name
    execution_id: Name | None = None
    agent: Name | None = None
    arguments: Any = None
    outcome: ToolOutcome = "success"
    result: Text = ""
    error: Text = ""
    duration_ms: Amount | None = None
    turn: Count | None = None


class Tokens(Part, frozen=True, kw_only=True):
    """Tokens by use; ``cached`` and ``reasoning`` are shares of ``input`` and ``output``."""

    input: Count = 0
    output: Count = 0
    cached: Count = 0
    reasoning: Count = 0
    tool: Count = 0


class Resources(Part, frozen=True, kw_only=True):
    """What the execution used of the machine."""

    cpu_seconds: Amount | None = None
    peak_memory_megabytes: Amount | None = None
    network_bytes: Count | None = None


class ExecutionCompleted(Body, frozen=True, kw_only=True):
    """An agent finished, well or not."""

    text_fields: ClassVar[tuple[str, ...]] = ("failure_message", "output")

    execution_id: Name
    agent: Name
    success: bool
    agent_version: Name | None = None
    model: Name | None = None
    attempt: Count = 1
    failure_reason: Name | None = None
    failure_message: Text = ""
    latency_ms: Amount | None = None
    time_to_first_action_ms: Amount | None = None
    tokens: Tokens | None = None
    cost_usd: Amount | None = None
    resources: Resources | None = None
    tool_call_count: Count | None = None
    output: Text = ""


class QualityGate(Part, frozen=True, kw_only=True):
    """One gate of the evaluation and whether it was passed."""

    name: Name
    passed: bool
    score: float | None = None
    threshold: float | None = None
    message: Text = ""


class Rubric(Part, frozen=True, kw_only=True):
    """Scores from 0 to 1 for format, tool use, the task itself, minimality, cost and safety."""

    format: Share | None = None
    tool: Share | None = None
    task: Share | None = None
    minimal: Share | None = None
    cost: Share | None = None
    safety: Share | None = None


class MinimalDiff(Part, frozen=True, kw_only=True):
    """How small the change was kept; ``similarity`` of the code before and after, 0 to 1."""

    files_changed: Count | None = None
    lines_added: Count | None = None
    lines_removed: Count | None = None
    similarity: Share | None = None
    scaffolding_penalty: Share | None = None


class TurnReward(Part, frozen=True, kw_only=True):
    """The reward of one turn of the conversation."""

    turn: Count
    reward: float
    reason: Text = ""


class Budget(Part, frozen=True, kw_only=True):
    """What the task was allowed to change and to spend, and what it did; null where no limit was set."""

    files_limit: Count | None = None
    files_used: Count | None = None
    lines_limit: Count | None = None
    lines_used: Count | None = None
    tokens_limit: Count | None = None
    tokens_used: Count | None = None
    within_budget: bool | None = None


class EvaluationFinished(Body, frozen=True, kw_only=True):
    """What an execution is worth: gates, rubric, minimality, rewards, budget, overall score (0 to 1)."""

    text_fields: ClassVar[tuple[str, ...]] = ("feedback", "judge_reasoning")

    overall_score: Share
    execution_id: Name | None = None
    agent: Name | None = None
    evaluator: Name = "unknown"
    compliant: bool | None = None
    quality_gates: list[QualityGate] = []
    rubric: Rubric | None = None
    minimal_diff: MinimalDiff | None = None
    turn_rewards: list[TurnReward] = []
    budget: Budget | None = None
    feedback: Text = ""
    judge_reasoning: Text = ""
    evaluation_ms: Amount | None = None


class Message(Part, frozen=True, kw_only=True):
    """One message of a conversation."""

    role: Name
    content: Text = ""
    name: Name | None = None
    reasoning_content: Text = ""
    tool_calls: list[dict[str, Any]] = []
    tool_call_id: Name | None = None


class DeepAnalysis(Body, frozen=True, kw_only=True):
    """The expensive look at a sampled task: conversation, code before and after, what judge and agent say.

    ``code_before`` and ``code_after`` feed the hourly computation of AST metrics; ``ast_metrics`` are figures
    that the application computed itself.
    """

    text_fields: ClassVar[tuple[str, ...]] = (
        "conversation",
        "judge_reasoning",
        "self_reflection",
        "code_before",
        "code_after",
    )

    execution_id: Name | None = None
    agent: Name | None = None
    conversation: list[Message] = []
    language: Name | None = None
    code_before: Text = ""
    code_after: Text = ""
    ast_metrics: dict[str, float] = {}
    judge_reasoning: Text = ""
    self_reflection: Text = ""


TASK_KINDS: dict[str, type[Body]] = {
    "task_received": TaskReceived,
    "routing_decided": RoutingDecided,
    "execution_started": ExecutionStarted,
    "tool_called": ToolCalled,
    "execution_completed": ExecutionCompleted,
    "evaluation_finished": EvaluationFinished,
    "deep_analysis": DeepAnalysis,
}
"""The kinds of events in the life of a task."""

for _kind, _body in TASK_KINDS.items():
    register(_kind, _body)
