"""What the importers make: items of signals, with ids that follow from the data alone.

What belongs here: the parts that every format uses. What does not: any one format, writing
(``writing``). Ids are hashes of what they identify, so that importing data twice names the same records,
and files that speak of the same prompt meet in one session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pipeline.capture.events import Message
from pipeline.capture.kinds import Body
from pipeline.capture.signals import (
    AgentDefined,
    ArtifactProduced,
    AttemptFinished,
    ContentFormat,
    ContentStored,
    LineageCreated,
    Media,
    RolloutStarted,
    SessionStarted,
    SpanFinished,
)
from pipeline.documents import parse_json, read_bytes
from pipeline.errors import InputError

LARGEST_FILE = 512 * 1024 * 1024
"""Files with more bytes are refused; split them."""


@dataclass(frozen=True)
class Signal:
    """A record to write: its session, its body, and when it happened (ns since 1970 UTC; None: now)."""

    session_id: str
    body: Body
    at: int | None = None


@dataclass(frozen=True)
class Item:
    """One importable piece of a file: where it stands there, its signals, and remarks for the person."""

    where: str
    signals: Sequence[Signal]
    remarks: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Malformed:
    """One piece of a file that cannot be imported, and why."""

    where: str
    reason: str


Read = Iterator[Item | Malformed]


def identifier(kind: str, *parts: object) -> str:
    """An id of ``kind`` that follows from the parts alone."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode("utf-8", "surrogatepass"))
    return f"{kind}-{digest.hexdigest()[:24]}"


def short(text: object, limit: int = 200) -> str:
    """A text that fits a name: at most ``limit`` characters, never empty."""
    return str(text).strip()[:limit] or "unnamed"


def content_hash(text: str) -> str:
    """SHA-256 of the text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def stored(text: str, media: Media) -> ContentStored:
    """The content as a record, under its hash."""
    return ContentStored(hash=content_hash(text), media=media, text=text)


@dataclass
class Tree:
    """The upper part of one session's tree, collected record by record."""

    session_id: str
    at: int | None = None
    signals: list[Signal] = field(default_factory=list)

    def add(self, body: Body, *, at: int | None = None) -> None:
        """Append a record; it happened at the tree's time unless ``at`` says otherwise."""
        self.signals.append(Signal(self.session_id, body, self.at if at is None else at))

    def begin(self, user_need: str, *, context: dict[str, Any] | None = None) -> None:
        """The session itself."""
        self.add(SessionStarted(user_need=user_need, context=context or {}))

    def agent(
        self,
        label: str,
        *,
        model: str | None = None,
        system_prompt: str | None = None,
        tools: Any = None,
        parameters: dict[str, Any] | None = None,
        strategy: str = "",
        version: int = 1,
    ) -> tuple[str, str]:
        """A lineage with its one agent version; returns both ids. Prompt and tools are stored by hash."""
        lineage_id = identifier("lineage", self.session_id, label)
        self.add(LineageCreated(lineage_id=lineage_id, label=short(label), strategy=strategy))
        prompt = stored(system_prompt, "prompt") if system_prompt else None
        listed = (
            stored(msgspec.json.encode(tools, order="deterministic").decode(), "tools") if tools else None
        )
        for content in (prompt, listed):
            if content is not None:
                self.add(content)
        agent = AgentDefined(
            agent_id=identifier("agent", lineage_id, version, model, system_prompt, tools, parameters),
            lineage_id=lineage_id,
            version=version,
            name=short(label),
            model=short(model) if model else None,
            system_prompt_hash=prompt.hash if prompt else None,
            tools_hash=listed.hash if listed else None,
            parameters=parameters or {},
        )
        self.add(agent)
        return lineage_id, agent.agent_id

    def rollout(self, lineage_id: str, agent_id: str, *, run: object, cycle: int = 1) -> str:
        """A rollout of the agent; ``run`` tells repetitions apart. Returns its id."""
        rollout_id = identifier("rollout", agent_id, cycle, run)
        self.add(RolloutStarted(rollout_id=rollout_id, lineage_id=lineage_id, agent_id=agent_id, cycle=cycle))
        return rollout_id


@dataclass(frozen=True)
class Product:
    """What an attempt produced: its content, how to read it, and a name that tells several apart."""

    content: str
    content_format: ContentFormat = "text"
    name: str | None = None


def add_run(
    tree: Tree, attempt: AttemptFinished, spans: Sequence[SpanFinished], products: Sequence[Product]
) -> list[str]:
    """Add an attempt's spans, the attempt and its artifacts at its end; returns the artifacts' ids."""
    for span in spans:
        tree.add(span, at=span.ended_at)
    tree.add(attempt, at=attempt.ended_at)
    ids = []
    for product in products:
        artifact = ArtifactProduced(
            artifact_id=identifier("artifact", attempt.attempt_id, product.name or ""),
            rollout_id=attempt.rollout_id,
            attempt_id=attempt.attempt_id,
            name=product.name,
            content=product.content,
            content_format=product.content_format,
        )
        tree.add(artifact, at=attempt.ended_at)
        ids.append(artifact.artifact_id)
    return ids


def conversation_text(messages: Sequence[Message]) -> str:
    """Messages as the JSON text of an artifact of format ``messages``."""
    return msgspec.json.encode(messages).decode()


def read_json(path: Path) -> Any:
    """A file's JSON document; raises ``InputError``."""
    return parse_json(read_bytes(path, maximum=LARGEST_FILE), path.name, maximum=LARGEST_FILE)


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The documents of a JSONL file with their line numbers; a bad line's document is its ``InputError``."""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _line(line, f"{path.name} line {number}")
    except OSError as error:
        raise InputError(
            f"Reading {path.name}: {error.strerror or error}; check that the file exists and can be read."
        ) from error


def _line(line: bytes, name: str) -> Any:
    try:
        return parse_json(line, name)
    except InputError as error:
        return error


def expect(value: Any, kind: type | tuple[type, ...], where: str) -> Any:
    """The value where it has the type; raises ``InputError`` that says what stands there instead."""
    if isinstance(value, kind) and not (isinstance(value, bool) and kind in (int, float, (int, float))):
        return value
    kinds = kind if isinstance(kind, tuple) else (kind,)
    wanted = " or ".join(_NAMES.get(one, one.__name__) for one in kinds)
    found = "nothing" if value is None else _NAMES.get(type(value), type(value).__name__)
    raise InputError(f"{where} is {found} where {wanted} is needed; mend or remove it.")


_NAMES: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
}
