"""What a recorder offers for training records: a typed method per kind, and sessions as ``with`` blocks.

What belongs here: the methods. What does not: bodies (``signals``), the blocks themselves
(``recording_signals``), writing (``recorder``). The bodies are loaded with the first call, so that
programs without training records do not pay for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from pipeline.capture.kinds import Body

if TYPE_CHECKING:
    from pipeline.capture.recording_signals import Session, Signals


class SignalRecording(ABC):
    """What a recorder offers for training records; fields are those of the bodies in ``signals``.

    Methods answer like ``emit``: true once the event is in the spool. Links are the caller's to keep;
    ``session`` keeps them itself.
    """

    _signals: Signals | None = None

    @abstractmethod
    def emit(
        self, kind: str, subject: str, body: Body | Mapping[str, Any], *, complexity: str | None = None
    ) -> bool:
        """Record one event; see ``Recorder.emit``."""

    @abstractmethod
    def record(self, subject: str, body: Body) -> bool:
        """Record a body whose type says the kind; see ``Recorder.record``."""

    @abstractmethod
    def as_kept(self, text: str) -> str:
        """The text as privacy's door lets it pass; see ``Recorder.as_kept``."""

    def _signal(self, kind: str, session_id: str, fields: Mapping[str, Any]) -> bool:
        import pipeline.capture.signals  # noqa: F401 - registers the kinds of training records

        return self.emit(kind, session_id, fields)

    def session(
        self,
        user_need: str,
        *,
        constraints: Sequence[str] = (),
        context: Mapping[str, Any] | None = None,
        user: str | None = None,
        session_id: str | None = None,
    ) -> AbstractContextManager[Session]:
        """A session from its start to its end, with all below it; see ``recording_signals``."""
        if self._signals is None:
            from pipeline.capture.recording_signals import Signals

            self._signals = Signals(self.record, self.as_kept)
        return self._signals.session(
            user_need, constraints=constraints, context=context, user=user, session_id=session_id
        )

    def content_stored(self, session_id: str, *, hash: str, media: str, **fields: Any) -> bool:
        """A text that records name by its hash (``ContentStored``)."""
        return self._signal("content_stored", session_id, {"hash": hash, "media": media, **fields})

    def session_started(self, session_id: str, **fields: Any) -> bool:
        """A session began (``SessionStarted``)."""
        return self._signal("session_started", session_id, fields)

    def session_ended(self, session_id: str, *, outcome: str, **fields: Any) -> bool:
        """A session is over (``SessionEnded``)."""
        return self._signal("session_ended", session_id, {"outcome": outcome, **fields})

    def lineage_created(self, session_id: str, *, lineage_id: str, label: str, **fields: Any) -> bool:
        """A branch began (``LineageCreated``)."""
        return self._signal(
            "lineage_created", session_id, {"lineage_id": lineage_id, "label": label, **fields}
        )

    def lineage_locked(self, session_id: str, *, lineage_id: str, **fields: Any) -> bool:
        """The user kept a lineage (``LineageLocked``)."""
        return self._signal("lineage_locked", session_id, {"lineage_id": lineage_id, **fields})

    def directive_given(self, session_id: str, *, directive_id: str, text: str, **fields: Any) -> bool:
        """The user asked for a change (``DirectiveGiven``)."""
        return self._signal(
            "directive_given", session_id, {"directive_id": directive_id, "text": text, **fields}
        )

    def agent_defined(
        self, session_id: str, *, agent_id: str, lineage_id: str, version: int, **fields: Any
    ) -> bool:
        """An agent got a version (``AgentDefined``)."""
        body = {"agent_id": agent_id, "lineage_id": lineage_id, "version": version, **fields}
        return self._signal("agent_defined", session_id, body)

    def rollout_started(
        self, session_id: str, *, rollout_id: str, lineage_id: str, agent_id: str, **fields: Any
    ) -> bool:
        """An agent version runs in a cycle (``RolloutStarted``)."""
        body = {"rollout_id": rollout_id, "lineage_id": lineage_id, "agent_id": agent_id, **fields}
        return self._signal("rollout_started", session_id, body)

    def attempt_finished(self, session_id: str, *, attempt_id: str, rollout_id: str, **fields: Any) -> bool:
        """A run ended (``AttemptFinished``)."""
        return self._signal(
            "attempt_finished", session_id, {"attempt_id": attempt_id, "rollout_id": rollout_id, **fields}
        )

    def span_finished(
        self, session_id: str, *, span_id: str, attempt_id: str, span_kind: str, **fields: Any
    ) -> bool:
        """A step ended (``SpanFinished``)."""
        body = {"span_id": span_id, "attempt_id": attempt_id, "kind": span_kind, **fields}
        return self._signal("span_finished", session_id, body)

    def artifact_produced(
        self, session_id: str, *, artifact_id: str, rollout_id: str, content: str, **fields: Any
    ) -> bool:
        """A run produced something (``ArtifactProduced``)."""
        body = {"artifact_id": artifact_id, "rollout_id": rollout_id, "content": content, **fields}
        return self._signal("artifact_produced", session_id, body)

    def evaluation_given(self, session_id: str, *, evaluation_id: str, **fields: Any) -> bool:
        """Somebody judged (``EvaluationGiven``)."""
        return self._signal("evaluation_given", session_id, {"evaluation_id": evaluation_id, **fields})

    def evolution_recorded(
        self,
        session_id: str,
        *,
        evolution_id: str,
        lineage_id: str,
        before_agent_id: str,
        after_agent_id: str,
        **fields: Any,
    ) -> bool:
        """An agent was changed (``EvolutionRecorded``)."""
        links = {
            "lineage_id": lineage_id,
            "before_agent_id": before_agent_id,
            "after_agent_id": after_agent_id,
        }
        return self._signal(
            "evolution_recorded", session_id, {"evolution_id": evolution_id, **links, **fields}
        )

    def evolution_outcome(self, session_id: str, *, evolution_id: str, **fields: Any) -> bool:
        """What became of a change (``EvolutionOutcome``)."""
        return self._signal("evolution_outcome", session_id, {"evolution_id": evolution_id, **fields})

    def insight_noted(self, session_id: str, *, insight_id: str, pattern: str, **fields: Any) -> bool:
        """Somebody noticed a pattern (``InsightNoted``)."""
        return self._signal(
            "insight_noted", session_id, {"insight_id": insight_id, "pattern": pattern, **fields}
        )
