"""Which parts of a body are texts, told from its type.

What belongs here: leaving texts out of a decoded body. What does not: deciding to (``controls``). Loaded only
while recorders are told to keep no text.
"""

from __future__ import annotations

from typing import Any

from msgspec import inspect

from pipeline.capture.bodies import LONGEST_TEXT
from pipeline.capture.kinds import Body


def textless(body_type: type[Body], fields: Any) -> Any:
    """The decoded body without its ``text_fields`` and without any free text inside its parts."""
    return _textless(inspect.type_info(body_type), fields, body_type)


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
