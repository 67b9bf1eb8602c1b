"""A small OpenAI-compatible server of the tests: answers sums, logs every request, misbehaves as told.

Run as ``python -m assets_tests.collector.loopback LOG [--latency S] [--limited SHARE] [--hanging SHARE]
[--refused SHARE]``; prints its port. Which prompts are limited (429 with Retry-After on the first attempt),
hang (on the first) or are refused (400, always) follows from a hash of the prompt, so every run sees the
same.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import time
from typing import Any

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_SUM = re.compile(r"(\d+) \+ 1")


class Server(asyncio.Protocol):
    """One connection; requests on it come one after another."""

    options: argparse.Namespace
    log: int
    seen: dict[str, int] = {}  # noqa: RUF012 - one server a process

    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if not found or length is None or len(rest) < int(length.group(1)):
                return
            size = int(length.group(1))
            body, self.buffer = rest[:size], rest[size:]
            self.answer(json.loads(body))

    def answer(self, body: dict[str, Any]) -> None:
        prompt = str(body["messages"][-1]["content"])
        attempt = Server.seen[prompt] = Server.seen.get(prompt, 0) + 1
        fault = self.fault(prompt)
        line = {"prompt": prompt, "fault": fault, "attempt": attempt, "at": time.time()}
        os.write(self.log, json.dumps(line).encode() + b"\n")
        loop = asyncio.get_running_loop()
        if fault == "refused":
            self.send(400, {"error": {"message": "this prompt is refused", "type": "invalid_request_error"}})
        elif fault == "limited" and attempt == 1:
            self.send(429, {"error": {"message": "slow down"}}, b"Retry-After: 1\r\n")
        elif fault != "hanging" or attempt > 1:
            loop.call_later(self.options.latency, self.send, 200, _completion(body, prompt))

    def fault(self, prompt: str) -> str:
        share = int.from_bytes(hashlib.blake2b(prompt.encode(), digest_size=4).digest()) / 2**32
        for name in ("limited", "hanging", "refused"):
            wanted = getattr(self.options, name)
            if share < wanted:
                return name
            share -= wanted
        return ""

    def send(self, status: int, document: dict[str, Any], headers: bytes = b"") -> None:
        body = json.dumps(document).encode()
        head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head % (status, headers, len(body)) + body)


def _completion(body: dict[str, Any], prompt: str) -> dict[str, Any]:
    found = _SUM.search(prompt)
    number = int(found.group(1)) if found else 0
    # Every fifth sum is wrong, so that a score is neither nothing nor everything.
    text = f"It is\n#### {number + (2 if number % 5 == 0 else 1)}"
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": str(body["model"]),
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 6, "total_tokens": 18},
    }


async def _serve(options: argparse.Namespace) -> None:
    Server.options = options
    Server.log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the test reads it
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("log")
    parser.add_argument("--latency", type=float, default=0.0)
    for share in ("limited", "hanging", "refused"):
        parser.add_argument(f"--{share}", type=float, default=0.0)
    asyncio.run(_serve(parser.parse_args()))
