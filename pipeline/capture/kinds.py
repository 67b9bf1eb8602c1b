"""The kinds of events: a registry from a kind's name to the type of its body.

What belongs here: the base class of all bodies and the registry. What does not: the bodies themselves
(``events`` for the life of a task, ``signals`` for training records) and the envelope (``envelope``).
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

import msgspec

from pipeline.errors import ConfigurationError

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
"""An identifier or short label: 1 to 200 characters."""

Text = Annotated[str, msgspec.Meta(max_length=1_000_000)]
"""Free text: at most a million characters. Recorders drop or shorten these when told to."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A number from 0 to 1."""

Amount = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
"""A quantity that is not negative; its unit stands in the field's name."""

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000_000)]
"""How many."""

_KIND = re.compile(r"[a-z][a-z0-9_]{0,62}\Z", re.ASCII)


class Body(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What one kind of event says. Subclasses set ``text_fields``.

    ``text_fields`` names the fields that hold people's words or a program's output; a recorder that is told
    to keep no text leaves them out.
    """

    text_fields: ClassVar[tuple[str, ...]] = ()


_BODIES: dict[str, type[Body]] = {}


def register(kind: str, body: type[Body]) -> None:
    """Make ``body`` the type of events of ``kind``.

    Raises ``ConfigurationError`` for a name that is no lower-case identifier or that another type has taken.
    """
    if not _KIND.match(kind):
        raise ConfigurationError(
            f"Registering the event kind {kind[:40]!r}: "
            "a kind is a lower-case identifier such as task_received."
        )
    if _BODIES.setdefault(kind, body) is not body:
        raise ConfigurationError(
            f"Registering the event kind {kind!r}: {_BODIES[kind].__name__} has that name already; "
            "choose another."
        )


def body_type(kind: str) -> type[Body] | None:
    """The type of events of ``kind``; none where nobody registered it."""
    return _BODIES.get(kind)


def kind_of(body: type[Body]) -> str | None:
    """The kind whose events have bodies of this type; none where it is registered as no kind."""
    return next((kind for kind, found in _BODIES.items() if found is body), None)


def registered_kinds() -> tuple[str, ...]:
    """The names of all registered kinds, in the order they were registered."""
    return tuple(_BODIES)
