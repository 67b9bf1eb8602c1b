"""The stub's server: chat, completions, embeddings and models over HTTP, with the faults that are asked for.

What belongs here: the endpoints and the faults. What does not: what it knows (``knowledge``). aiohttp's
server is imported here, so import this module only where it is served.

Faults hang on the seed and the prompt: a permanent 400 comes back for its prompt each time; 429s, hangs,
errors, cut and malformed answers are drawn anew for each attempt at a prompt, so that trying again helps.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import msgspec
from aiohttp import web

from pipeline.collector.stub.knowledge import answer_to, drawn, prompt_of
from pipeline.errors import PipelineError

MARKS = {"x-synthetic": "true"}


@dataclass(frozen=True)
class StubOptions:
    """What the stub does. Rates are probabilities 0-1 of each attempt; ``version_after`` counts requests."""

    host: str = "127.0.0.1"
    port: int = 8399
    seed: int = 0
    accuracy: float = 0.8
    latency_ms: float = 20
    rate_429: float = 0
    retry_after: float = 1
    rate_hang: float = 0
    rate_400: float = 0
    rate_500: float = 0
    rate_malformed: float = 0
    rate_truncated: float = 0
    version_after: int | None = None
    requests_per_minute: int | None = None
    api_key: str | None = field(default=None, repr=False)
    answers: Mapping[str, str] = field(default_factory=dict, repr=False)
    log: Path | None = None


class Stub:
    """The server's state: counts by prompt and kind, and the request log."""

    def __init__(self, options: StubOptions) -> None:
        self.options = options
        self.attempts: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self._log: TextIO | None = None
        self._window = (0, 0)

    def application(self) -> web.Application:
        """Its routes, with and without ``/v1``."""
        application = web.Application(client_max_size=64 * 1024 * 1024)
        for prefix in ("/v1", ""):
            for path in ("chat/completions", "completions", "embeddings"):
                application.router.add_post(f"{prefix}/{path}", self._answer)
            application.router.add_get(f"{prefix}/models", self._models)
        return application

    def open_log(self) -> None:
        """Opens the request log, one JSON object a line."""
        if self.options.log is not None:
            self._log = self.options.log.open("a", encoding="utf-8")

    def close_log(self) -> None:
        """Closes the request log."""
        if self._log is not None:
            self._log.close()

    async def _models(self, _request: web.Request) -> web.Response:
        models = [{"id": name, "object": "model"} for name in ("stub/large", "stub/small", "stub/embedding")]
        return _json(200, {"object": "list", "data": models, "synthetic": True})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        options = self.options
        try:
            body = msgspec.json.decode(await request.read())
        except msgspec.MsgspecError:
            return self._said("bad_body", "", 0, _error(400, "the body is no JSON"))
        if options.api_key and request.headers.get("Authorization") != f"Bearer {options.api_key}":
            return self._said("unauthorized", "", 0, _error(401, "the key is missing or wrong"))
        prompt = prompt_of(body)
        self.attempts[prompt] += 1
        attempt = self.attempts[prompt]
        limits, is_over = self._limits()
        refusal = self._refused(prompt, attempt, is_over)
        if refusal is not None:
            kind, response = refusal
            response.headers.update(limits)
            return self._said(kind, prompt, attempt, response)
        if self._happens("hang", options.rate_hang, prompt, attempt):
            self._note("hang", prompt, attempt, None)
            await asyncio.sleep(86_400)
        if options.latency_ms:
            await asyncio.sleep(options.latency_ms / 1000)
        document = self._document(request.path, body, prompt)
        if body.get("stream") and "choices" in document:
            self._note("streamed", prompt, attempt, 200)
            return await _streamed(request, document)
        return await self._sent(request, document, prompt, attempt, limits)

    async def _sent(
        self,
        request: web.Request,
        document: dict[str, Any],
        prompt: str,
        attempt: int,
        limits: dict[str, str],
    ) -> web.StreamResponse:
        content = msgspec.json.encode(document)
        if self._happens("malformed", self.options.rate_malformed, prompt, attempt):
            response = web.Response(
                body=content[: len(content) // 2], content_type="application/json", headers=MARKS
            )
            return self._said("malformed", prompt, attempt, response)
        if self._happens("truncated", self.options.rate_truncated, prompt, attempt):
            self._note("truncated", prompt, attempt, 200)
            cut = web.StreamResponse(headers={**MARKS, "Content-Length": str(len(content))})
            cut.content_type = "application/json"
            await cut.prepare(request)
            await cut.write(content[: len(content) // 2])
            if request.transport is not None:
                request.transport.abort()
            return cut
        headers = {**MARKS, **limits}
        response = web.Response(body=content, content_type="application/json", headers=headers)
        return self._said("answered", prompt, attempt, response)

    def _refused(self, prompt: str, attempt: int, is_over: bool) -> tuple[str, web.Response] | None:
        options = self.options
        if options.rate_400 and drawn(options.seed, "400", prompt) < options.rate_400:
            return "bad_request", _error(400, "the stub refuses this prompt for good")
        if is_over or self._happens("429", options.rate_429, prompt, attempt):
            limited = _error(429, "too many requests")
            limited.headers["Retry-After"] = f"{options.retry_after:g}"
            limited.headers["retry-after-ms"] = f"{options.retry_after * 1000:g}"
            return "rate_limited", limited
        if self._happens("500", options.rate_500, prompt, attempt):
            return "server_error", _error(500, "the stub fails")
        return None

    def _happens(self, kind: str, rate: float, prompt: str, attempt: int) -> bool:
        return rate > 0 and drawn(self.options.seed, kind, prompt, attempt) < rate

    def _limits(self) -> tuple[dict[str, str], bool]:
        most = self.options.requests_per_minute
        if most is None:
            return {}, False
        minute, count = int(time.time() // 60), self._window[1] + 1
        if minute != self._window[0]:
            count = 1
        self._window = (minute, count)
        headers = {
            "x-ratelimit-limit-requests": str(most),
            "x-ratelimit-remaining-requests": str(max(0, most - count)),
            "x-ratelimit-reset-requests": f"{60 - time.time() % 60:.3f}s",
        }
        return headers, count > most

    def _document(self, path: str, body: dict[str, Any], prompt: str) -> dict[str, Any]:
        options = self.options
        model = str(body.get("model", "stub"))
        is_later = options.version_after is not None and sum(self.attempts.values()) > options.version_after
        served = f"{model}-{'v2' if is_later else 'v1'}"
        count = max(1, len(prompt) // 4)
        common = {"model": served, "synthetic": True, "created": int(time.time())}
        if path.endswith("/embeddings"):
            inputs = body.get("input")
            rows = inputs if isinstance(inputs, list) else [inputs]
            data = [
                {
                    "object": "embedding",
                    "index": n,
                    "embedding": [drawn(options.seed, text, d) * 2 - 1 for d in range(16)],
                }
                for n, text in enumerate(rows)
            ]
            return {
                "object": "list",
                "data": data,
                "usage": {"prompt_tokens": count, "total_tokens": count},
                **common,
            }
        text = answer_to(prompt, options.answers, options.accuracy, options.seed, model, body.get("seed"))
        usage = {"prompt_tokens": count, "completion_tokens": max(1, len(text) // 4)}
        usage["total_tokens"] = sum(usage.values())
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        is_chat = path.endswith("/chat/completions")
        choice |= {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
        kind = "chat.completion" if is_chat else "text_completion"
        return {
            "id": f"stub-{self.outcomes.total()}",
            "object": kind,
            "choices": [choice],
            "usage": usage,
            **common,
        }

    def _said(self, kind: str, prompt: str, attempt: int, response: web.Response) -> web.Response:
        self._note(kind, prompt, attempt, response.status)
        return response

    def _note(self, kind: str, prompt: str, attempt: int, status: int | None) -> None:
        self.outcomes[kind] += 1
        if self._log is not None:
            row = {
                "at": time.time(),
                "kind": kind,
                "status": status,
                "attempt": attempt,
                "prompt": prompt[:200],
            }
            self._log.write(msgspec.json.encode(row).decode() + "\n")
            self._log.flush()


@contextlib.asynccontextmanager
async def serving(options: StubOptions) -> AsyncIterator[tuple[Stub, str]]:
    """The stub and its base URL, served until the block ends; port 0 takes a free one."""
    stub = Stub(options)
    stub.open_log()
    runner = web.AppRunner(stub.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise PipelineError(
                f"Serving the stub on {options.host}:{options.port}: {error.strerror}; choose another port."
            ) from error
        port = runner.addresses[0][1]
        yield stub, f"http://{options.host}:{port}/v1"
    finally:
        await runner.cleanup()
        stub.close_log()


def serve(options: StubOptions, *, said: Any = print) -> None:
    """Serves until it is interrupted; ``said`` is called once with the base URL."""

    async def forever() -> None:
        async with serving(options) as (_, url):
            said(url)
            await asyncio.Event().wait()

    asyncio.run(forever())


def _json(status: int, document: object) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(document), content_type="application/json", headers=MARKS
    )


def _error(status: int, message: str) -> web.Response:
    return _json(
        status, {"error": {"message": message, "type": "stub_error", "code": None}, "synthetic": True}
    )


async def _streamed(request: web.Request, document: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={**MARKS, "Content-Type": "text/event-stream"})
    await response.prepare(request)
    choice = document["choices"][0]
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    common = {name: document[name] for name in ("id", "model", "created", "synthetic")}
    pieces = [text[start : start + 8] for start in range(0, len(text), 8)]
    for piece in pieces:
        change = {"delta": {"content": piece}} if "message" in choice else {"text": piece}
        chunk = {**common, "choices": [{"index": 0, "finish_reason": None, **change}]}
        await response.write(b"data: " + msgspec.json.encode(chunk) + b"\n\n")
    last = {
        **common,
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "usage": document["usage"],
    }
    await response.write(b"data: " + msgspec.json.encode(last) + b"\n\ndata: [DONE]\n\n")
    await response.write_eof()
    return response
