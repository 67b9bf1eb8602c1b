"""Recording training records: a session with its lineages, attempts and spans, as ``with`` blocks.

What belongs here: helpers that fill the bodies of ``signals``, keep their ids and links, and take the
time. What does not: writing events (``recorder``), chat formats of other programs
(``pipeline.training.importing``).

    with recorder.session("a poem about rain", constraints=["four lines"]) as session: with
    session.lineage("A", strategy="rhymes") as lineage: agent = lineage.agent(model="some-model",
    system_prompt="You are a poet.", parameters={"temperature": 1}) rollout = lineage.rollout(agent,
    cycle=1) with rollout.attempt(prompt=[{"role": "user", "content": "a poem about rain"}]) as attempt:
    with attempt.llm(input_messages=attempt.prompt) as call: call.answer("Rain falls …", input_tokens=12,
    output_tokens=30) artifact = rollout.artifact("Rain falls …", attempt=attempt)
    rollout.evaluate(artifact, score=8, comment="good rhythm", directives=["shorter"])
    lineage.lock(cycle=1)

An exception inside a block is recorded as the failure of the attempt or span and goes on unchanged.
Nothing here raises for what a program says: the recorder checks bodies, counts those it refuses and
never raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipeline.capture.kinds import Body
from pipeline.capture.recording_runs import Rollout, failure, json_text, new_id
from pipeline.capture.signals import (
    AgentDefined,
    ContentStored,
    DirectiveGiven,
    EvaluationGiven,
    EvaluatorKind,
    EvolutionOutcome,
    EvolutionRecorded,
    InsightNoted,
    LineageCreated,
    LineageLocked,
    Media,
    RolloutStarted,
    SessionEnd,
    SessionEnded,
    SessionStarted,
)

Write = Callable[[str, Body], object]
"""Records a body under a session's id."""

CONTENTS_REMEMBERED = 10_000
"""Hashes of contents that a process remembers to have recorded; after that some may be recorded again."""


@dataclass
class Signals:
    """Begins sessions.

    ``write`` takes a session's id and a body, and answers false where it was not recorded. ``as_kept``
    says how a text will be kept, so that contents are named by the hash of what is kept.
    """

    write: Write
    as_kept: Callable[[str], str] = str
    _stored: set[str] = field(default_factory=set)

    @contextmanager
    def session(
        self,
        user_need: str,
        *,
        constraints: Sequence[str] = (),
        context: Mapping[str, Any] | None = None,
        user: str | None = None,
        session_id: str | None = None,
    ) -> Iterator[Session]:
        """A session from its start to its end; an exception ends it as failed."""
        session = Session(self, session_id or new_id("session"), user_need, list(constraints))
        session.write(
            SessionStarted(
                user_need=user_need, constraints=list(constraints), context=dict(context or {}), user=user
            )
        )
        try:
            yield session
        except BaseException as error:
            session.end("failed", failure(error)[1])
            raise
        if not session.ended:
            session.end("completed")

    def store(self, session_id: str, media: Media, content: Any) -> str | None:
        """The hash of a content, recorded once by this process; none for nothing."""
        if content is None:
            return None
        text = self.as_kept(content if isinstance(content, str) else json_text(content))
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        if digest not in self._stored:
            if len(self._stored) >= CONTENTS_REMEMBERED:
                self._stored.clear()
            if self.write(session_id, ContentStored(hash=digest, media=media, text=text)) is not False:
                self._stored.add(digest)
        return digest


@dataclass
class Session:
    """A running session."""

    signals: Signals
    session_id: str
    user_need: str
    constraints: list[str]
    ended: bool = False

    def write(self, body: Body) -> None:
        """Record a body of this session."""
        self.signals.write(self.session_id, body)

    def end(self, outcome: SessionEnd, reason: str = "") -> None:
        """Record the session's end."""
        self.ended = True
        self.write(SessionEnded(outcome=outcome, reason=reason))

    @contextmanager
    def lineage(self, label: str, *, strategy: str = "", parent: Lineage | None = None) -> Iterator[Lineage]:
        """A branch of the session; it may be used after the block, too."""
        lineage = Lineage(self, new_id("lineage"))
        self.write(
            LineageCreated(
                lineage_id=lineage.lineage_id,
                label=label,
                strategy=strategy,
                parent_lineage_id=parent.lineage_id if parent else None,
            )
        )
        yield lineage

    def rank(
        self,
        ranking: Sequence[Sequence[str]],
        *,
        cycle: int | None = None,
        preference: float | None = None,
        comment: str = "",
        evaluator: str = "user",
        evaluator_kind: EvaluatorKind = "person",
    ) -> str:
        """Artifacts in groups, best first, ties in one group; returns the evaluation's id."""
        evaluation_id = new_id("evaluation")
        self.write(
            EvaluationGiven(
                evaluation_id=evaluation_id,
                cycle=cycle,
                ranking=[list(group) for group in ranking],
                preference=preference,
                comment=comment,
                evaluator=evaluator,
                evaluator_kind=evaluator_kind,
            )
        )
        return evaluation_id

    def insight(
        self,
        pattern: str,
        *,
        description: str = "",
        evidence_ids: Sequence[str] = (),
        confidence: float | None = None,
    ) -> str:
        """A pattern that somebody noticed; returns its id."""
        insight_id = new_id("insight")
        self.write(
            InsightNoted(
                insight_id=insight_id,
                pattern=pattern,
                description=description,
                evidence_ids=list(evidence_ids),
                confidence=confidence,
            )
        )
        return insight_id

    def outcome(
        self,
        evolution_id: str,
        *,
        score_delta: float | None = None,
        validated: bool | None = None,
        comment: str = "",
    ) -> None:
        """What became of an evolution."""
        self.write(
            EvolutionOutcome(
                evolution_id=evolution_id, score_delta=score_delta, validated=validated, comment=comment
            )
        )


@dataclass
class Lineage:
    """A branch of a session; numbers its agents' versions from 1."""

    session: Session
    lineage_id: str
    versions: int = 0

    def agent(
        self,
        *,
        model: str | None = None,
        system_prompt: str | None = None,
        tools: Any = None,
        flow: Any = None,
        parameters: Mapping[str, Any] | None = None,
        name: str | None = None,
        provider: str | None = None,
        parent: str | None = None,
    ) -> str:
        """The next version of the lineage's agent; returns its id. Prompt, tools and flow are stored once."""
        self.versions += 1
        agent_id, store = new_id("agent"), self.session.signals.store
        self.session.write(
            AgentDefined(
                agent_id=agent_id,
                lineage_id=self.lineage_id,
                version=self.versions,
                name=name,
                model=model,
                provider=provider,
                system_prompt_hash=store(self.session.session_id, "prompt", system_prompt),
                tools_hash=store(self.session.session_id, "tools", tools),
                flow_hash=store(self.session.session_id, "flow", flow),
                parameters=dict(parameters or {}),
                parent_agent_id=parent,
            )
        )
        return agent_id

    def rollout(self, agent_id: str, *, cycle: int = 1) -> Rollout:
        """A run of an agent version in a cycle."""
        session = self.session
        rollout = Rollout(
            session.write,
            lambda media, content: session.signals.store(session.session_id, media, content),
            new_id("rollout"),
            cycle,
            session.user_need,
            session.constraints,
        )
        session.write(
            RolloutStarted(
                rollout_id=rollout.rollout_id, lineage_id=self.lineage_id, agent_id=agent_id, cycle=cycle
            )
        )
        return rollout

    def lock(self, *, cycle: int | None = None, locked: bool = True, reason: str = "") -> None:
        """The user kept this lineage, or gave it free."""
        self.session.write(
            LineageLocked(lineage_id=self.lineage_id, cycle=cycle, locked=locked, reason=reason)
        )

    def directive(self, text: str, *, cycle: int | None = None, sticky: bool = False) -> str:
        """What the user asked to change; returns the directive's id."""
        directive_id = new_id("directive")
        self.session.write(
            DirectiveGiven(
                directive_id=directive_id,
                lineage_id=self.lineage_id,
                cycle=cycle,
                text=text,
                sticky=sticky,
            )
        )
        return directive_id

    def evolve(
        self,
        before_agent_id: str,
        after_agent_id: str,
        *,
        changes: Sequence[str] = (),
        hypothesis: str = "",
        expected_delta: float | None = None,
        cycle: int | None = None,
        directive_ids: Sequence[str] = (),
    ) -> str:
        """One version became the next; returns the evolution's id."""
        evolution_id = new_id("evolution")
        self.session.write(
            EvolutionRecorded(
                evolution_id=evolution_id,
                lineage_id=self.lineage_id,
                before_agent_id=before_agent_id,
                after_agent_id=after_agent_id,
                cycle=cycle,
                changes=list(changes),
                hypothesis=hypothesis,
                expected_delta=expected_delta,
                directive_ids=list(directive_ids),
            )
        )
        return evolution_id
