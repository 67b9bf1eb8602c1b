"""A span processor for the same process: ``provider.add_span_processor(SpoolSpanProcessor(writer))``.

What belongs here: the SDK's spans as ours, and handing them to a writer. What does not: OTLP over HTTP
(``server``). Needs the extra ``otel``. Spans are written when the local root of their trace ends, or when
``force_flush`` or ``shutdown`` ask, or when ``max_waiting`` of them wait.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from pipeline.capture.otel.spans import Span
from pipeline.capture.otel.translating import occurrences
from pipeline.capture.otel.writing import SpanWriter

log = logging.getLogger(__name__)


class SpoolSpanProcessor(SpanProcessor):
    """Keeps finished spans until their local root ends, then writes them durably; never raises into the
    caller.
    """

    def __init__(self, writer: SpanWriter, *, max_waiting: int = 2_000) -> None:
        self._writer, self._max_waiting = writer, max_waiting
        self._begin()
        _PROCESSORS.add(self)
        self.lost = 0
        """Spans that neither the spool nor a second directory took; the reports count them too."""

    def _begin(self) -> None:
        self._waiting: list[Span] = []
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """In the child: what waits is the parent's to write."""
        self._begin()

    def on_end(self, span: ReadableSpan) -> None:
        """Take the span; write where it is a local root, or where much waits."""
        with self._lock:
            self._waiting.append(plain_span(span))
            due = self._waiting[-1].is_local_root or len(self._waiting) >= self._max_waiting
        if due:
            self._write()

    def shutdown(self) -> None:
        """Write what waits and the last report."""
        self._write()
        try:
            self._writer.close()
        except OSError as error:
            log.error("the last report of the span processor was not written: %s", error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write what waits; whether nothing was lost by it."""
        return self._write()

    def _write(self) -> bool:
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            self._writer.write(occurrences(batch))
        except OSError as error:
            self.lost += len(batch)
            self._writer.note_lost(len(batch), error)
            log.error("%d span(s) were not written: %s", len(batch), error)
            return False
        return True


def _after_fork() -> None:
    for processor in list(_PROCESSORS):
        processor.after_fork()


_PROCESSORS: weakref.WeakSet[SpoolSpanProcessor] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def plain_span(span: ReadableSpan) -> Span:
    """The SDK's span as ours."""
    context = span.get_span_context()
    assert context is not None, "a finished span has a context"
    return Span(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else "",
        name=span.name,
        started=span.start_time or 0,
        ended=span.end_time or 0,
        failed=span.status.status_code.name == "ERROR",
        status_message=span.status.description or "",
        attributes=_plain(span.attributes),
        events=tuple(
            {"name": event.name, "at": event.timestamp, "attributes": _plain(event.attributes)}
            for event in span.events
        ),
        resource=_plain(span.resource.attributes),
        scope=span.instrumentation_scope.name if span.instrumentation_scope else "",
        remote_parent=span.parent is not None and span.parent.is_remote,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dict(attributes or {}).items()
    }
