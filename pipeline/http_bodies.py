"""Decoding a body within a bound: a decoder without one lets a small body fill the memory.

What belongs here: collecting raw chunks, decoding gzip, stopping at a cap. What does not: what a body means
and the sentence about it; those who fetch translate the three errors.
"""

from __future__ import annotations

import zlib


class BodyTooLargeError(Exception):
    """The decoded body is larger than allowed."""


class BodyBrokenError(Exception):
    """The body is not in the encoding that it claims."""


class BodyCutError(Exception):
    """The compressed body breaks off before its end."""


class BoundedBody:
    """Chunks in, at most ``cap`` decoded bytes out."""

    def __init__(self, cap: int, *, compressed: bool) -> None:
        self._left = cap
        self._decoder = _gunzip() if compressed else None
        self._parts: list[bytes] = []
        self.received = 0

    def feed(self, chunk: bytes) -> bytes:
        """Takes a raw chunk and returns what it decodes to."""
        self.received += len(chunk)
        data = chunk if self._decoder is None else self._decoded(chunk)
        if self._decoder is None:
            self._left -= len(data)
        if self._left < 0:
            raise BodyTooLargeError
        self._parts.append(data)
        return data

    def finish(self) -> bytes:
        """The whole body; raises ``BodyCutError`` where a compressed one has no end."""
        if self._decoder is not None and not self._decoder.eof:
            raise BodyCutError
        return b"".join(self._parts)

    def _decoded(self, chunk: bytes) -> bytes:
        assert self._decoder is not None
        parts: list[bytes] = []
        while chunk:
            if self._decoder.eof:
                self._decoder = _gunzip()
            try:
                data = self._decoder.decompress(chunk, self._left + 1)
            except zlib.error as error:
                raise BodyBrokenError from error
            self._left -= len(data)
            if self._left < 0:
                raise BodyTooLargeError
            parts.append(data)
            chunk = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
        return b"".join(parts)


def _gunzip() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)
