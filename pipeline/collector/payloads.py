"""A request as the JSON that is posted: messages, images, parameters.

What belongs here: what is sent, and nothing else. What does not: the key of it (``keys``), sending it
(``client``). Raises ``InputError`` for a request that cannot be sent.
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.collector.exchange import Image, Request
from pipeline.errors import InputError

LARGEST_IMAGE = 20 * 1024 * 1024
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
}


def payload_of(request: Request) -> dict[str, Any]:
    """What is posted for a request, without ``stream``."""
    model = request.model
    body: dict[str, Any] = {"model": model.api_model_name, **_content(request)}
    if model.generator_type != "embedding":
        if model.temperature is not None:
            body["temperature"] = model.temperature
        if model.top_p is not None:
            body["top_p"] = model.top_p
        if model.max_tokens is not None:
            body[model.max_tokens_field] = model.max_tokens
        if model.seed is not None:
            body["seed"] = model.seed + request.repetition
        if model.reasoning_effort is not None:
            body["reasoning_effort"] = model.reasoning_effort
    if model.extra_body:
        body |= model.extra_body
    if request.parameters:
        body |= request.parameters
    return body


def streamed(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The same, asking for server-sent events with usage at their end."""
    return {**payload, "stream": True, "stream_options": {"include_usage": True}}


def data_url(image: Image) -> str:
    """An image as the URL that is sent: http addresses as they are, files and bytes as base64."""
    if isinstance(image, str) and image.startswith(("http://", "https://", "data:")):
        return image
    if isinstance(image, bytes):
        return _encoded(image, "image bytes", None)
    path = Path(image)
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"Reading the image {path.name}: {reason}; correct the path.") from error
    return _encoded(content, f"the image {path.name}", mimetypes.guess_type(path.name)[0])


def _encoded(content: bytes, what: str, guessed: str | None) -> str:
    if not content or len(content) > LARGEST_IMAGE:
        limit = LARGEST_IMAGE // 1024 // 1024
        raise InputError(
            f"Reading {what}: it holds {len(content):,} bytes, 1 byte to {limit} MiB can be sent."
        )
    kind = next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), guessed)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        kind = "image/webp"
    if kind is None or not kind.startswith("image/"):
        raise InputError(f"Reading {what}: it is no PNG, JPEG, GIF, BMP or WebP image; convert it.")
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _content(request: Request) -> dict[str, Any]:
    model = request.model
    given = [value is not None for value in (request.messages, request.prompt, request.input)]
    if sum(given) != 1:
        raise InputError(f"Asking {model.name}: a request holds one of messages, prompt and input.")
    if request.images and (model.generator_type != "multimodal" or model.api != "chat"):
        raise InputError(
            f"Asking {model.name}: it takes no images; set generator_type: multimodal, api: chat."
        )
    if model.generator_type == "embedding":
        value = request.input if request.input is not None else _joined(request)
        return {"input": list(value) if isinstance(value, tuple) else value}
    if request.input is not None:
        raise InputError(f"Asking {model.name}: input is for embeddings; set generator_type: embedding.")
    if model.api == "completions":
        return {"prompt": _joined(request)}
    messages = (
        request.messages if request.messages is not None else ({"role": "user", "content": request.prompt},)
    )
    return {"messages": _with_images(messages, request.images) if request.images else list(messages)}


def _joined(request: Request) -> str:
    if request.prompt is not None:
        return request.prompt
    messages = request.messages or ()
    if len(messages) == 1:
        return str(messages[0]["content"])
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


def _with_images(
    messages: tuple[Mapping[str, Any], ...], images: tuple[Image, ...]
) -> list[Mapping[str, Any]]:
    last = max((n for n, message in enumerate(messages) if message.get("role") == "user"), default=None)
    if last is None:
        raise InputError("Adding images: there is no user message to add them to.")
    content = messages[last]["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    parts += [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in images]
    return [*messages[:last], {**messages[last], "content": parts}, *messages[last + 1 :]]
