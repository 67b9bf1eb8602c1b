"""Spans of real exporters and instrumentations arrive whole, once, redacted; they survive SIGKILL."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from pipeline.capture.envelope import Envelope
from pipeline.capture.otel import otlp
from pipeline.capture.otel.conventions import meaning_of
from pipeline.capture.otel.processor import SpoolSpanProcessor
from pipeline.capture.otel.server import Intake, Limits
from pipeline.capture.otel.spans import Span
from pipeline.capture.otel.translating import event_id, occurrences
from pipeline.capture.otel.writing import SpanWriter
from pipeline.capture.spool import is_closed, read_segment, segments
from pipeline.errors import InputError
from pipeline.privacy.acting import Redactor
from pipeline.privacy.detect import default_detector

MESSAGE = "Mend the parser; ask jane.doe@example-mail.com"


def a_span(**values: Any) -> Span:
    defaults: dict[str, Any] = {
        "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331", "parent_id": "",
        "name": "work", "started": 1_770_000_000_000_000_000, "ended": 1_770_000_001_500_000_000,
    }  # fmt: skip
    return Span(**(defaults | values))


def writer_in(folder: Path) -> SpanWriter:
    return SpanWriter(folder, redactor=Redactor(default_detector()))


def spooled(folder: Path) -> list[Envelope]:
    """Every event in the spool, broken lines refused."""
    events = []
    for segment in segments([folder]):
        for line in read_segment(segment.path, closed=True):
            assert isinstance(line.event, Envelope), line
            events.append(line.event)
    return events


def by_kind(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(event.body) for event in spooled(folder) if event.kind == kind]


@contextmanager
def intake(folder: Path, **options: Any) -> Iterator[str]:
    server = Intake(writer_in(folder), port=0, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    finally:
        server.shutdown()
        server.server_close()
        server.writer.close()


def traced(exporter: Any, agent: str = "mender") -> None:
    """One agent that calls a model and two tools, by the SDK."""
    provider = TracerProvider(resource=Resource.create({"service.name": "workshop"}))
    provider.add_span_processor(exporter)
    tracer = provider.get_tracer("test")
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent, "task.type": "fix_bug"}
    with tracer.start_as_current_span("invoke_agent mender", attributes=attributes):
        with tracer.start_as_current_span("chat m-1") as chat:
            chat.set_attributes(
                {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1",
                 "gen_ai.usage.input_tokens": 120,
                 "gen_ai.usage.output_tokens": 30,
                 "gen_ai.input.messages": json.dumps([{"content": MESSAGE}])}
            )  # fmt: skip
        with tracer.start_as_current_span("execute_tool search") as tool:
            tool.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"})
        with tracer.start_as_current_span("execute_tool shell") as tool:
            tool.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "shell"})
            tool.set_status(Status(StatusCode.ERROR, "no such file"))
    provider.shutdown()


def assert_whole(folder: Path) -> None:
    kinds = [event.kind for event in spooled(folder)]
    assert kinds.count("span_ended") == 4
    assert {event.subject for event in spooled(folder) if event.kind == "tool_called"} == {
        event.subject for event in spooled(folder) if event.kind == "task_received"
    }
    assert by_kind(folder, "task_received")[0]["task_type"] == "fix_bug"
    assert by_kind(folder, "routing_decided")[0]["selected_agent"] == "mender"
    done = by_kind(folder, "execution_completed")
    assert [(each["agent"], each["success"]) for each in done] == [("mender", True)]
    tools = {each["tool"]: each.get("outcome", "success") for each in by_kind(folder, "tool_called")}
    assert tools == {"search": "success", "shell": "failure"}
    text = b"".join(segment.path.read_bytes() for segment in segments([folder]))
    assert b"jane.doe" not in text
    assert b"Mend the parser" in text
    numbers = [event.sequence for event in spooled(folder)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_spans_of_the_real_exporter_arrive_whole(tmp_path: Path, compression: Compression) -> None:
    with intake(tmp_path) as address:
        traced(SimpleSpanProcessor(OTLPSpanExporter(address, compression=compression)))
    assert_whole(tmp_path)
    assert all(is_closed(segment.path) for segment in segments([tmp_path]))


def test_the_span_processor_of_the_same_process_writes_the_same(tmp_path: Path) -> None:
    traced(SpoolSpanProcessor(writer_in(tmp_path)))
    assert_whole(tmp_path)
    sent = [span for span in by_kind(tmp_path, "span_ended") if span["operation"] == "model"]
    assert [(span["tokens"], span["model"]) for span in sent] == [({"input": 120, "output": 30}, "m-1")]


@pytest.mark.parametrize("within", ["process", "intake"])
def test_an_agent_that_another_process_called_is_a_task(tmp_path: Path, within: str) -> None:
    caller = NonRecordingSpan(SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1)))
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "served"}
    with intake(tmp_path) as address:
        provider = TracerProvider()
        provider.add_span_processor(
            SpoolSpanProcessor(writer_in(tmp_path))
            if within == "process"
            else SimpleSpanProcessor(OTLPSpanExporter(address))
        )
        with provider.get_tracer("test").start_as_current_span(
            "serve", context=set_span_in_context(caller), attributes=attributes
        ):
            pass
        provider.shutdown()
    assert [event.subject for event in spooled(tmp_path) if event.kind == "task_received"] == [f"{7:032x}"]
    assert [each["selected_agent"] for each in by_kind(tmp_path, "routing_decided")] == ["served"]


COMPLETION = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "scripted-1",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "mended"}}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}  # fmt: skip


@contextmanager
def scripted_model() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(COMPLETION).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


SCRIPTED_CLIENT = """
import sys
from importlib import import_module
import openai
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
module, model, intake = sys.argv[1:]
provider = TracerProvider(resource=Resource.create({"service.name": "scripted-agent"}))
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(intake)))
import_module(module).OpenAIInstrumentor().instrument(tracer_provider=provider)
client = openai.OpenAI(base_url=model, api_key="unused")
for text in ("first", "second"):
    client.chat.completions.create(model="scripted-1", messages=[{"role": "user", "content": text}])
provider.shutdown()
"""


@pytest.mark.parametrize(
    "module", ["opentelemetry.instrumentation.openai", "openinference.instrumentation.openai"]
)
def test_an_instrumented_client_needs_no_code_of_ours(tmp_path: Path, module: str) -> None:
    with intake(tmp_path) as address, scripted_model() as model:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPTED_CLIENT, module, model, address], capture_output=True, text=True,
            env=os.environ | {"TRACELOOP_TRACE_CONTENT": "true"}, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    spans = by_kind(tmp_path, "span_ended")
    assert [(span["operation"], span["model"], span["tokens"]) for span in spans] == [
        ("model", "scripted-1", {"input": 11, "output": 7})
    ] * 2
    assert "first" in spans[0]["input"]
    assert "mended" in spans[1]["output"]
    executions = by_kind(tmp_path, "execution_completed")
    assert [(each["agent"], each["model"]) for each in executions] == [("scripted-agent", "scripted-1")] * 2
    assert len({event.subject for event in spooled(tmp_path) if event.kind == "task_received"}) == 2


def request_of(count: int, first: int = 1) -> dict[str, Any]:
    spans = [
        {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "chat",
         "startTimeUnixNano": "1770000000000000000",
         "endTimeUnixNano": "1770000001000000000",
         "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}]}
        for number in range(first, first + count)
    ]  # fmt: skip
    return {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}


def test_sigkill_after_200_loses_nothing(tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "capture", "serve", "--port", "0",
         "--directory", str(tmp_path / "spool")],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PIPELINE_DATA_DIR": str(tmp_path)},
    )  # fmt: skip
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[3]
        acknowledged = set()
        for number in range(20):
            answer = httpx.post(address, json=request_of(5, first=1 + number * 5))
            assert answer.status_code == 200
            acknowledged |= {f"{each:016x}" for each in range(1 + number * 5, 6 + number * 5)}
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
    assert {span["span_id"] for span in by_kind(tmp_path / "spool", "span_ended")} == acknowledged
    assert all(is_closed(segment.path) for segment in segments([tmp_path / "spool"]))


def test_a_batch_sent_twice_is_kept_once_and_after_a_restart_has_the_same_ids(tmp_path: Path) -> None:
    for _ in range(2):
        with intake(tmp_path) as address:
            for _ in range(3):
                assert httpx.post(address, json=request_of(4)).status_code == 200
    spans = [event for event in spooled(tmp_path) if event.kind == "span_ended"]
    assert len(spans) == 8
    assert len({event.id for event in spans}) == 4


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/json"}, b"{", 400),
        ({"Content-Type": "application/json"}, b'{"resourceSpans": 3}', 400),
        ({"Content-Type": "application/json"}, b"[" * 5000, 400),
        ({"Content-Type": "application/x-protobuf"}, b"\xff\xff\xff", 400),
        ({"Content-Type": "text/plain"}, b"x", 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"no gzip", 400),
        ({"Content-Type": "application/json", "Content-Encoding": "br"}, b"x", 400),
        (
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            gzip.compress(b"{}", mtime=0)[:-9],
            400,
        ),
        ({"Content-Type": "application/json"}, b" " * 2_000, 413),
    ],
)
def test_what_is_no_request_is_refused(
    tmp_path: Path, headers: dict[str, str], body: bytes, status: int
) -> None:
    limits = Limits(largest_body=1_000 if status == 413 else 1_000_000)
    with intake(tmp_path, limits=limits) as address:
        answer = httpx.post(address, content=body, headers=headers)
        assert answer.status_code == status
        assert answer.json()["message"]
        assert httpx.post(address, json=request_of(1)).status_code == 200


def test_a_small_body_that_unpacks_without_end_is_refused() -> None:
    bomb = zlib.compress(b"\0" * (otlp.LARGEST_UNPACKED + 10), 9)
    with pytest.raises(InputError, match="larger than"):
        otlp.unpack(bomb, "deflate")


def test_the_key_is_asked_for(tmp_path: Path) -> None:
    with intake(tmp_path, key="a-long-key") as address:
        codes = [
            httpx.post(address, json=request_of(1), headers=headers).status_code
            for headers in (
                {},
                {"x-api-key": "wrong"},
                {"x-api-key": "a-long-key"},
                {"Authorization": "Bearer a-long-key"},
            )
        ]
    assert codes == [401, 401, 200, 200]


def test_too_many_spans_are_told_to_wait(tmp_path: Path) -> None:
    with intake(tmp_path, limits=Limits(spans_per_second=1)) as address:
        answers = [httpx.post(address, json=request_of(20, first=1 + 20 * n)) for n in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert int(answers[1].headers["Retry-After"]) >= 1


def test_a_span_without_ids_is_named_in_the_answer_and_the_rest_is_kept(tmp_path: Path) -> None:
    document = request_of(2)
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = ""
    with intake(tmp_path) as address:
        answer = httpx.post(address, json=document)
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert len(by_kind(tmp_path, "span_ended")) == 1


def test_a_halt_drops_texts(tmp_path: Path) -> None:
    (tmp_path / "halt.json").write_text("{}")
    writer = writer_in(tmp_path)
    writer.write(
        occurrences([a_span(attributes={"gen_ai.operation.name": "chat", "gen_ai.prompt": "words"})])
    )
    writer.close()
    span = by_kind(tmp_path, "span_ended")[0]
    assert "attributes" not in span
    assert "input" not in span


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 3},
            ("model", "m", 3),
        ),
        (
            {"gen_ai.system": "x", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 3},
            ("model", "m", 3),
        ),
        (
            {"openinference.span.kind": "LLM", "llm.model_name": "m", "llm.token_count.prompt": 3},
            ("model", "m", 3),
        ),
        (
            {"llm.request.type": "chat", "gen_ai.response.model": "m", "llm.usage.prompt_tokens": "3"},
            ("model", "m", 3),
        ),
        ({"traceloop.span.kind": "workflow"}, ("agent", None, None)),
        ({"openinference.span.kind": "AGENT"}, ("agent", None, None)),
        ({"openinference.span.kind": "TOOL", "tool.name": "t"}, ("tool", None, None)),
        ({"gen_ai.operation.name": "execute_tool"}, ("tool", None, None)),
        ({"http.method": "GET"}, ("other", None, None)),
        ({"gen_ai.usage.input_tokens": -4, "gen_ai.operation.name": "chat"}, ("model", None, None)),
    ],
)
def test_the_three_dialects(attributes: dict[str, Any], expected: tuple[str, str | None, int | None]) -> None:
    meaning = meaning_of(a_span(attributes=attributes))
    assert (meaning.operation, meaning.model, meaning.tokens.input if meaning.tokens else None) == expected


def test_a_parent_that_is_its_own_ancestor_ends() -> None:
    loop = [a_span(span_id="01" * 8, parent_id="02" * 8), a_span(span_id="02" * 8, parent_id="01" * 8)]
    assert [each.kind for each in occurrences(loop)] == ["span_ended", "span_ended"]


def test_ids_follow_from_trace_and_span() -> None:
    span = a_span()
    assert event_id(span, "span_ended", span.ended) == event_id(a_span(), "span_ended", span.ended)
    assert event_id(span, "span_ended", span.ended) != event_id(
        a_span(span_id="00" * 7 + "01"), "span_ended", span.ended
    )
