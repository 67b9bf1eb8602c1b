"""The key of a request: which requests share an answer.

What belongs here: the parts of a key, their canonical form and hash, and what a narrowed key merges. What
does not: storing (``cache``). No part holds a secret: headers that come from the environment are left out.

The key is the hash of canonical JSON (sorted names, whole floats as integers, images as the hash of their
bytes) of: endpoint, model, every sent field but ``stream``, plain extra headers, repetition.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from pipeline.collector.exchange import Request
from pipeline.errors import InputError
from pipeline.settings.collector import CollectorSettings
from pipeline.settings.collector_cache import KeyGenerator

QUESTIONS = ("messages", "prompt", "input")
_LARGE = 80
_UNKEYED = frozenset({"stream", "stream_options"})
_ENCODER = msgspec.json.Encoder(order="sorted")


def key_parts(request: Request, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that may change the answer, by field."""
    parts = {
        name: _plain(value) if name in QUESTIONS else _numbers(value)
        for name, value in payload.items()
        if name not in _UNKEYED
    }
    parts["endpoint"] = request.model.endpoint
    parts["repetition"] = request.repetition
    headers = {
        name.lower(): value
        for name, value in request.model.extra_headers.items()
        if not value.startswith("$")
    }
    if headers:
        parts["headers"] = headers
    return parts


def narrowed(parts: Mapping[str, Any], generator: KeyGenerator) -> Mapping[str, Any]:
    """The parts that the configuration lets count."""
    if generator.cached_parameters is None:
        return parts
    return {name: parts[name] for name in generator.cached_parameters if name in parts}


def make_hasher(generator: KeyGenerator) -> Callable[[Mapping[str, Any]], str]:
    """Parts in, hexadecimal key out; raises ``InputError`` for what JSON cannot carry."""
    size = generator.hash_digest_size
    if generator.hash_algorithm == "blake2b":
        return lambda parts: hashlib.blake2b(canonical(parts), digest_size=size).hexdigest()
    algorithm = getattr(hashlib, generator.hash_algorithm)
    return lambda parts: str(algorithm(canonical(parts), usedforsecurity=False).hexdigest())


def canonical(value: Any) -> bytes:
    """One sequence of bytes for equal values, whatever the order of their names."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, UnicodeError, RecursionError) as error:
        raise InputError(
            f"Making a key: a parameter cannot be written as JSON ({type(error).__name__})."
        ) from error


def question_of(parts: Mapping[str, Any]) -> str:
    """A hash of what was asked, without how: rows that ``why_miss`` compares share it."""
    asked = [parts[name] for name in QUESTIONS if name in parts]
    return hashlib.blake2b(canonical(asked), digest_size=12).hexdigest()


def shown_parts(parts: Mapping[str, Any]) -> dict[str, str]:
    """The parts as they are stored beside an answer: small ones as JSON, large ones as their hash."""
    shown = {}
    for name, value in parts.items():
        text = canonical(value)
        is_small = len(text) <= _LARGE and name not in QUESTIONS
        shown[name] = (
            text.decode() if is_small else f"blake2b:{hashlib.blake2b(text, digest_size=12).hexdigest()}"
        )
    return shown


def what_merges(settings: CollectorSettings) -> list[str]:
    """What the configured key merges, a sentence each; none where it is complete."""
    chosen = settings.cache.key_generator.cached_parameters
    if chosen is None or not settings.cache.enabled:
        return []
    sent = {"endpoint", "repetition", "model"}
    for model in settings.models:
        sent |= {"temperature", "top_p", "seed", "reasoning_effort", model.max_tokens_field} | set(
            model.extra_body
        )
        sent |= {"headers"} if model.extra_headers else set()
    left_out = sorted(sent - set(chosen))
    sentences = (
        [f"Answers are shared between requests that differ only in {', '.join(left_out)}."]
        if left_out
        else []
    )
    if "repetition" not in chosen and any(model.repetitions > 1 for model in settings.models):
        sentences.append(
            "All repetitions of a prompt get one and the same answer: repetition is not in the key."
        )
    groups: dict[bytes, list[str]] = {}
    for model in settings.models:
        fields = {**model.model_dump(mode="json"), **model.extra_body}
        fields |= {"model": model.api_model_name, "endpoint": model.endpoint}
        identity = {name: fields.get(name) for name in chosen if name not in (*QUESTIONS, "repetition")}
        groups.setdefault(canonical(identity), []).append(model.name)
    sentences += [
        f"The models {', '.join(names)} share their answers: nothing in the key tells them apart."
        for names in groups.values()
        if len(names) > 1
    ]
    return sentences


def differences(
    ours: Mapping[str, str], theirs: Mapping[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    """Fields in which two stored forms of parts differ: ours and theirs, None where absent."""
    names: Iterable[str] = sorted(ours.keys() | theirs.keys())
    return {name: (ours.get(name), theirs.get(name)) for name in names if ours.get(name) != theirs.get(name)}


def _plain(value: Any) -> Any:
    """Messages with the bytes of images replaced by their hash."""
    if not isinstance(value, list) or all(
        isinstance(part, str) or isinstance(part.get("content"), str) for part in value
    ):
        return value
    return _hashed(value)


def _hashed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _hashed(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_hashed(part) for part in value]
    if isinstance(value, str) and value.startswith("data:"):
        head, _, body = value.partition(",")
        try:
            content = base64.b64decode(body, validate=True) if head.endswith(";base64") else body.encode()
        except (binascii.Error, ValueError):
            return value
        return f"sha256:{hashlib.sha256(content).hexdigest()}"
    return value


def _numbers(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError("Making a key: a parameter is no finite number; correct it.")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, Mapping):
        return {name: _numbers(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(part) for part in value]
    return value
