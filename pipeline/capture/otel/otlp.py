"""OTLP trace requests as spans: protobuf and JSON, within bounds.

What belongs here: decompressing, parsing, plain attribute values. What does not: HTTP (``server``) and what
the attributes mean (``conventions``). ``opentelemetry.proto`` is imported on first use.
"""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from typing import Any, NamedTuple

from pipeline.capture.otel.spans import Span
from pipeline.errors import InputError

LARGEST_BODY = 16_000_000
"""Longest request as it is sent, in bytes."""

LARGEST_UNPACKED = 64_000_000
"""Longest request once unpacked, in bytes."""

DEEPEST_VALUE = 20
_HEX_FIELDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}
_HEX = re.compile(r"[0-9a-fA-F]*\Z", re.ASCII)
_REMOTE = 0x300
"""Flags of a span whose exporter knows that the parent is of another process (OTLP, SpanFlags)."""
_ERROR_STATUS = 2


class Batch(NamedTuple):
    """What a request holds: its spans, and how many were no usable spans, with the first reason."""

    spans: list[Span]
    rejected: int
    reason: str


def unpack(body: bytes, encoding: str) -> bytes:
    """The request without compression; raises ``InputError`` beyond the bound or for what is no gzip."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise InputError(f"Reading spans: the content encoding {encoding[:20]!r} is not known; send gzip.")
    unpacker = zlib.decompressobj(wbits=47)  # finds the header of gzip or zlib by itself
    try:
        data = unpacker.decompress(body, LARGEST_UNPACKED + 1)
    except zlib.error as error:
        raise InputError(
            f"Reading spans: the body is no {encoding} ({error}); send it again whole."
        ) from error
    if len(data) > LARGEST_UNPACKED or unpacker.unconsumed_tail:
        raise InputError(
            f"Reading spans: unpacked, the body is larger than {LARGEST_UNPACKED:,} bytes; split it."
        )
    if not unpacker.eof:
        raise InputError(f"Reading spans: the {encoding} body is cut short; send it again whole.")
    return data


def parse(body: bytes, content_type: str) -> Batch:
    """The spans of a request; raises ``InputError`` where it is none."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    if content_type == "application/json":
        _parse_json(body, request)
    else:
        try:
            request.ParseFromString(body)
        except DecodeError as error:
            raise InputError(
                "Reading spans: the body is no OTLP trace request; check the exporter."
            ) from error
    spans, rejected, reason = [], 0, ""
    for group in request.resource_spans:
        resource = _plain_map(group.resource.attributes)
        for scoped in group.scope_spans:
            for found in scoped.spans:
                problem = _problem(found)
                if problem:
                    rejected, reason = rejected + 1, reason or problem
                    continue
                spans.append(_span(found, resource, scoped.scope.name))
    return Batch(spans, rejected, reason)


def _parse_json(body: bytes, request: Any) -> None:
    from google.protobuf import json_format

    try:
        document = json.loads(body)
        json_format.ParseDict(_with_base64_ids(document), request, ignore_unknown_fields=True)
    except (ValueError, RecursionError, json_format.ParseError, TypeError, AttributeError) as error:
        raise InputError(
            f"Reading spans: the body is no OTLP trace request in JSON ({type(error).__name__}); "
            "check the exporter."
        ) from error


def _with_base64_ids(value: Any) -> Any:
    """OTLP's JSON writes ids in hexadecimal where protobuf's JSON has base 64."""
    if isinstance(value, list):
        return [_with_base64_ids(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64encode(bytes.fromhex(part)).decode()
        if name in _HEX_FIELDS and isinstance(part, str) and _HEX.match(part) and len(part) % 2 == 0
        else _with_base64_ids(part)
        for name, part in value.items()
    }


def _problem(found: Any) -> str:
    if len(found.trace_id) != 16 or not any(found.trace_id):
        return "a span has no trace id of 16 bytes"
    if len(found.span_id) != 8 or not any(found.span_id):
        return "a span has no span id of 8 bytes"
    if not 0 < found.end_time_unix_nano < 2**63 or found.start_time_unix_nano >= 2**63:
        return "a span has no end"
    return ""


def _span(found: Any, resource: dict[str, Any], scope: str) -> Span:
    return Span(
        trace_id=found.trace_id.hex(),
        span_id=found.span_id.hex(),
        parent_id=found.parent_span_id.hex(),
        name=found.name,
        started=found.start_time_unix_nano,
        ended=found.end_time_unix_nano,
        failed=found.status.code == _ERROR_STATUS,
        status_message=found.status.message,
        attributes=_plain_map(found.attributes),
        events=tuple(
            {"name": event.name, "at": event.time_unix_nano, "attributes": _plain_map(event.attributes)}
            for event in found.events
        ),
        resource=resource,
        scope=scope,
        remote_parent=found.flags & _REMOTE == _REMOTE,
    )


def _plain_map(pairs: Any) -> dict[str, Any]:
    return {pair.key: _plain(pair.value, 0) for pair in pairs}


def _plain(value: Any, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    held = getattr(value, kind)
    if kind in ("array_value", "kvlist_value") and depth >= DEEPEST_VALUE:
        return "nested too deep"
    if kind == "array_value":
        return [_plain(part, depth + 1) for part in held.values]
    if kind == "kvlist_value":
        return {pair.key: _plain(pair.value, depth + 1) for pair in held.values}
    if kind == "double_value":
        return held if math.isfinite(held) else str(held)
    return base64.b64encode(held).decode() if kind == "bytes_value" else held
