"""The OTLP/HTTP intake: spans posted to ``/v1/traces`` are on the disk before they are answered with 200.

What belongs here: HTTP, limits, the key. What does not: what spans become (``translating``, ``writing``).
Answers: 200 durable; 400 unreadable; 401 wrong key; 411, 413, 415 by HTTP's meaning; 429 too many (with
Retry-After, which exporters obey); 503 the disk refused, nothing was kept, send it again.
"""

from __future__ import annotations

import hmac
import json
import logging
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pipeline.capture.otel.otlp import LARGEST_BODY, Batch, parse, unpack
from pipeline.capture.otel.translating import occurrences
from pipeline.capture.otel.writing import SpanWriter
from pipeline.errors import InputError

PATH = "/v1/traces"
TYPES = ("application/x-protobuf", "application/json")
SOCKET_SECONDS = 30.0
"""How long a client may be silent."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Bounds of the intake: spans a second (with a burst of ten seconds), requests at a time, bytes of a
    request.
    """

    spans_per_second: float = 10_000
    requests_at_once: int = 32
    largest_body: int = LARGEST_BODY


class Allowance:
    """A bucket that fills with ``rate`` a second up to ten seconds' worth."""

    def __init__(self, rate: float) -> None:
        self._rate, self._held, self._at = rate, rate * 10, time.monotonic()
        self._lock = threading.Lock()

    def wait(self, amount: int) -> float:
        """0 and the amount taken, or the seconds until so much may be asked again."""
        with self._lock:
            now = time.monotonic()
            self._held = min(self._rate * 10, self._held + (now - self._at) * self._rate)
            self._at = now
            if self._held <= 0:
                return min(60.0, 1 - self._held / self._rate)
            self._held -= amount  # one batch may overdraw, the next one waits for it
            return 0.0


class Intake(ThreadingHTTPServer):
    """The server; ``serve_forever`` until ``shutdown``. Loopback unless another address is given."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self,
        writer: SpanWriter,
        *,
        host: str = "127.0.0.1",
        port: int = 4318,
        key: str | None = None,
        limits: Limits = Limits(),
    ) -> None:
        self.writer, self.key, self.limits = writer, key, limits
        self.allowance = Allowance(limits.spans_per_second)
        self.places = threading.BoundedSemaphore(limits.requests_at_once)
        super().__init__((host, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Intake
    protocol_version = "HTTP/1.1"
    timeout = SOCKET_SECONDS

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(200, "text/plain", b"ok\n")
        else:
            self._refuse(404, f"Only POST {PATH} takes spans.")

    def do_POST(self) -> None:
        if not self.server.places.acquire(blocking=False):
            self._refuse(429, "Too many requests at once; send it again.", retry_after=1)
            return
        try:
            self._take()
        finally:
            self.server.places.release()

    def _take(self) -> None:
        content_type = self.headers.get_content_type()
        length = self.headers.get("Content-Length", "")
        if self.path != PATH:
            self._refuse(404, f"Only {PATH} takes spans.")
        elif not self._may():
            self._refuse(401, "The key is missing or wrong.")
        elif content_type not in TYPES:
            self._refuse(415, f"Spans come as {' or '.join(TYPES)}.")
        elif not (length.isascii() and length.isdigit()):
            self._refuse(411, "A request needs its Content-Length.")
        elif int(length) > self.server.limits.largest_body:
            self._refuse(
                413, f"At most {self.server.limits.largest_body:,} bytes are taken; send smaller batches."
            )
        else:
            self._keep(self.rfile.read(int(length)), content_type)

    def _keep(self, body: bytes, content_type: str) -> None:
        try:
            batch = parse(unpack(body, self.headers.get("Content-Encoding", "").lower()), content_type)
        except InputError as error:
            self._refuse(400, str(error))
            return
        wait = self.server.allowance.wait(len(batch.spans))
        if wait:
            self._refuse(429, "Too many spans a second; send it again later.", retry_after=int(wait) + 1)
            return
        try:
            self.server.writer.write(occurrences(batch.spans))
        except OSError as error:
            log.error("spans were not written: %s", error)
            self._refuse(503, "The spool cannot be written; send it again.", retry_after=5)
            return
        self._answer(200, content_type, _accepted(batch, content_type))

    def _may(self) -> bool:
        if self.server.key is None:
            return True
        given = self.headers.get("Authorization", "").removeprefix("Bearer ") or self.headers.get(
            "x-api-key", ""
        )
        return hmac.compare_digest(given.encode(), self.server.key.encode())

    def _refuse(self, status: int, why: str, *, retry_after: int | None = None) -> None:
        self.close_connection = True  # what is left of the body is not read
        self._answer(status, "application/json", json.dumps({"message": why}).encode(), retry_after)

    def _answer(self, status: int, content_type: str, body: bytes, retry_after: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        log.debug("%s %s", self.address_string(), format % arguments)


def _accepted(batch: Batch, content_type: str) -> bytes:
    """OTLP's answer; spans that could not be used are named, so that exporters do not send them again."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    if content_type == "application/json":
        partial = {"rejectedSpans": str(batch.rejected), "errorMessage": batch.reason}
        return json.dumps({"partialSuccess": partial} if batch.rejected else {}).encode()
    answer = ExportTraceServiceResponse()
    if batch.rejected:
        answer.partial_success.rejected_spans = batch.rejected
        answer.partial_success.error_message = batch.reason
    return bytes(answer.SerializeToString())
