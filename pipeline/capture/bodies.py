"""From what a caller hands over to the bytes of a body that its type accepts.

What belongs here: validation, values JSON does not know, leaving texts out. What does not: sampling and
privacy (``recorder``, ``door``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pipeline.capture.kinds import Body

LARGEST_BODY = 15_000_000
"""Longest body in bytes; it must fit into a line that the spool's readers accept."""

LONGEST_TEXT = 1_000_000
_LONGEST_PLAIN = 10_000
_SHORTENED = " […]"


class Refused(Exception):
    """A body that its type does not accept; the text names field and rule, never a value."""


Prepared = tuple[bytes, tuple[str, ...]]
"""A body as JSON, and what had to be done to it (reasons, for the count of faults)."""


def _plain(value: Any) -> Any:
    """What JSON does not know, as text; what cannot even be shown, as the name of its type."""
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    try:
        return str(value)[:_LONGEST_PLAIN]
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything, and must not reach the caller
        return f"<{type(value).__name__}>"


encode = msgspec.json.Encoder(enc_hook=_plain).encode


@functools.cache
def _plan(body: type[Body]) -> tuple[Callable[[bytes], Body], frozenset[str]]:
    """What decodes a body of this type, and its fields' names."""
    return msgspec.json.Decoder(body).decode, frozenset(body.__struct_fields__)


def prepare(body_type: type[Body], body: Body | Mapping[str, Any]) -> Prepared:
    """The body as JSON that its type accepts; raises ``Refused``.

    What is checked are the very bytes that are written. What is put right instead of refused, and named:
    fields that the type does not know are left out, texts over a million characters are shortened, values
    and characters that JSON does not know become text. Inside of parts fields that no type knows stay; they
    pass privacy's door like the rest, and loading ignores them.
    """
    decode, known = _plan(body_type)
    try:
        data = encode(body)
        checked = decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        return _sized(_repaired(body_type, body, error))
    if isinstance(body, Body):
        if not isinstance(body, body_type):
            raise Refused(f"a {type(body).__name__} was given for a {body_type.__name__}")
        return _sized((data, ()))
    if body.__class__ is not dict and not isinstance(body, Mapping):
        raise Refused("its body is no mapping")
    if known.issuperset(body):
        return _sized((data, ())) if len(data) > LARGEST_BODY else (data, ())
    return _sized((encode(checked), ("unknown fields left out",)))


def _sized(prepared: Prepared) -> Prepared:
    if len(prepared[0]) > LARGEST_BODY:
        raise Refused(f"its body has {len(prepared[0]):,} bytes and at most {LARGEST_BODY:,} are kept")
    return prepared


def _repaired(body_type: type[Body], body: Body | Mapping[str, Any], first: Exception) -> Prepared:
    if isinstance(body, Body) and not isinstance(body, body_type):
        raise Refused(f"a {type(body).__name__} was given for a {body_type.__name__}")
    if not isinstance(body, Body | Mapping):
        raise Refused("its body is no mapping")
    faults: set[str] = set()
    fields = msgspec.structs.asdict(body) if isinstance(body, Body) else dict(body)
    try:
        data = encode(_mended(fields, faults, 0))
        checked = _plan(body_type)[0](data)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = error if isinstance(error, msgspec.ValidationError) else type(first).__name__
        raise Refused(str(reason)) from error
    return encode(checked), tuple(sorted(faults))


def _mended(value: Any, faults: set[str], depth: int) -> Any:  # noqa: PLR0911
    if depth > 100:
        faults.add("nested too deep")
        return "…"
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            faults.add("text shortened")
            value = value[: LONGEST_TEXT - len(_SHORTENED)] + _SHORTENED
        if not value.isascii():
            sound = value.encode("utf-8", "replace").decode()
            if sound != value:
                faults.add("characters replaced")
            return sound
        return value
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return {
            str(_mended(str(name), faults, depth + 1)): _mended(part, faults, depth + 1)
            for name, part in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_mended(part, faults, depth + 1) for part in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        faults.add("numbers became text")
        return str(value)[:_LONGEST_PLAIN]
    return value


def without(body_type: type[Body], data: bytes, names: frozenset[str]) -> bytes:
    """The body without these fields of its own; raises ``Refused`` where its type needs one of them."""
    fields = msgspec.json.decode(data)
    return _again(body_type, {name: value for name, value in fields.items() if name not in names})


def without_texts(body_type: type[Body], data: bytes) -> bytes:
    """The body without any text: its ``text_fields`` and every free text inside its parts.

    A text that the type needs becomes empty. Raises ``Refused`` where that is not enough.
    """
    from pipeline.capture.texts import textless

    return _again(body_type, textless(body_type, msgspec.json.decode(data)))


def _again(body_type: type[Body], fields: Any) -> bytes:
    try:
        return encode(_plan(body_type)[0](encode(fields)))
    except msgspec.MsgspecError as error:
        raise Refused(f"without its texts it is no {body_type.__name__}") from error
