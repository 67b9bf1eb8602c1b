"""A span as this package sees it, and the event that keeps it whole.

What belongs here: the neutral span and the body ``span_ended``. What does not: reading spans from OTLP
(``otlp``) or the SDK (``processor``), what their attributes mean (``conventions``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pipeline.capture.events import Tokens
from pipeline.capture.kinds import Amount, Body, Name, Text, register

Operation = Literal["agent", "tool", "model", "embedding", "retrieval", "step", "other"]


@dataclass(frozen=True)
class Span:
    """A finished span: ids in lower-case hexadecimal, times in nanoseconds since 1970 UTC, plain attribute
    values; ``remote_parent``: its parent is a span of another process.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    started: int
    ended: int
    failed: bool = False
    status_message: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    events: tuple[dict[str, Any], ...] = ()
    resource: dict[str, Any] = field(default_factory=dict)
    scope: str = ""
    remote_parent: bool = False

    @property
    def is_local_root(self) -> bool:
        """Whether no span of the same process is above it."""
        return not self.parent_id or self.remote_parent


class SpanEnded(Body, frozen=True, kw_only=True):
    """A span as it was sent, with what its attributes mean; ``attributes`` and ``events`` hold them all."""

    text_fields: ClassVar[tuple[str, ...]] = ("attributes", "events", "input", "output", "status_message")

    trace_id: Name
    span_id: Name
    parent_span_id: Name | None = None
    name: Name
    operation: Operation = "other"
    scope: str = ""
    service: str = ""
    started_at_ns: int
    ended_at_ns: int
    duration_ms: Amount
    failed: bool = False
    status_message: Text = ""
    agent: Name | None = None
    model: Name | None = None
    provider: Name | None = None
    tool: Name | None = None
    tokens: Tokens | None = None
    cost_usd: Amount | None = None
    input: Text = ""
    output: Text = ""
    attributes: dict[str, Any] = {}
    events: list[dict[str, Any]] = []


SPAN_KIND = "span_ended"
register(SPAN_KIND, SpanEnded)
