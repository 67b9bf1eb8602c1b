"""From what a caller hands over to the bytes of a body that its type accepts.

What belongs here: validation, values JSON does not know, leaving texts out. What does not: sampling and
privacy (``recorder``, ``door``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from pipeline.capture.kinds import Body

LONGEST_TEXT = 1_000_000
_LONGEST_PLAIN = 10_000
_SHORTENED = " […]"


class Refused(Exception):
    """A body that its type does not accept; the text names field and rule, never a value."""


class Prepared(NamedTuple):
    """A body as JSON, and what had to be done to it (reasons, for the count of faults)."""

    data: bytes
    faults: tuple[str, ...] = ()


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
def _decoder(body: type[Body]) -> Callable[[bytes], Body]:
    return msgspec.json.Decoder(body).decode


@functools.cache
def _known(body: type[Body]) -> frozenset[str]:
    return frozenset(body.__struct_fields__)


def prepare(body_type: type[Body], body: Body | Mapping[str, Any]) -> Prepared:
    """The body as JSON that its type accepts; raises ``Refused``.

    What is put right instead of refused, and named: fields that the type does not know are left out, texts
    over a million characters are shortened, values and characters that JSON does not know become text.
    """
    if isinstance(body, Body) and not isinstance(body, body_type):
        raise Refused(f"a {type(body).__name__} was given for a {body_type.__name__}")
    try:
        data = encode(body)
        checked = _decoder(body_type)(data)
        if isinstance(body, Body):
            return Prepared(data)
        if body.keys() <= _known(body_type):
            return Prepared(encode(checked))
        return Prepared(encode(checked), ("unknown fields left out",))
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        return _repaired(body_type, body, error)


def _repaired(body_type: type[Body], body: Body | Mapping[str, Any], first: Exception) -> Prepared:
    faults: set[str] = set()
    fields = msgspec.structs.asdict(body) if isinstance(body, Body) else dict(body)
    try:
        data = encode(_mended(fields, faults, 0))
        checked = _decoder(body_type)(data)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = error if isinstance(error, msgspec.ValidationError) else type(first).__name__
        raise Refused(str(reason)) from error
    return Prepared(encode(checked), tuple(sorted(faults)))


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
    return _again(body_type, _textless(inspect.type_info(body_type), msgspec.json.decode(data), body_type))


def _again(body_type: type[Body], fields: Any) -> bytes:
    try:
        return encode(_decoder(body_type)(encode(fields)))
    except msgspec.MsgspecError as error:
        raise Refused(f"without its texts it is no {body_type.__name__}") from error


def _textless(info: inspect.Type, value: Any, body_type: type[Body] | None = None) -> Any:
    if isinstance(info, inspect.UnionType):
        structs = [part for part in info.types if isinstance(part, inspect.StructType | inspect.ListType)]
        return _textless(structs[0], value) if structs and value is not None else value
    if isinstance(info, inspect.ListType) and isinstance(value, list):
        return [_textless(info.item_type, part) for part in value]
    if not isinstance(info, inspect.StructType) or not isinstance(value, dict):
        return value
    named = body_type.text_fields if body_type else ()
    kept = {}
    for field in info.fields:
        if field.name not in value:
            continue
        if _is_text(field.type) or field.name in named:
            if field.required:
                kept[field.name] = ""
            continue
        kept[field.name] = _textless(field.type, value[field.name])
    return kept


def _is_text(info: inspect.Type) -> bool:
    if isinstance(info, inspect.UnionType):
        return any(_is_text(part) for part in info.types)
    if isinstance(info, inspect.StrType):
        return info.max_length is not None and info.max_length >= LONGEST_TEXT
    # What may hold anything may hold text: tools' arguments, the calls inside a message.
    return isinstance(info, inspect.DictType | inspect.AnyType) and not _is_numbers(info)


def _is_numbers(info: inspect.Type) -> bool:
    return isinstance(info, inspect.DictType) and isinstance(
        info.value_type, inspect.FloatType | inspect.IntType
    )
