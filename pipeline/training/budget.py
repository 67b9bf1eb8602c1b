"""How many tokens a row takes: by a tokenizer on this machine, else by an estimate that is rather too high.

What belongs here: counting. What does not: what happens to rows over budget (``accepting``).

The estimate: characters / 2.5 + 1.6 x (UTF-8 bytes - characters), and 8 for each message. English takes
about 4.2 characters a token and code about 3 with today's tokenizers, long hexadecimal numbers about 2.3;
outside ASCII a byte-level tokenizer never needs more tokens than bytes, which the second term covers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.training.writing.rows import Row, outputs_of, prompt_of, texts_of

CHARACTERS_PER_TOKEN = 2.5
TOKENS_PER_MESSAGE = 8

Count = Callable[[str], int]


def estimate(text: str) -> int:
    """Tokens of a text, estimated as said above."""
    if text.isascii():
        return math.ceil(len(text) / CHARACTERS_PER_TOKEN)
    beyond = len(text.encode("utf-8", "surrogatepass")) - len(text)
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN + 1.6 * beyond)


def counter(tokenizer: str | None) -> Count:
    """The counting function for a path to a ``tokenizer.json``; the estimate for None.

    Raises ``ConfigurationError`` where the file or the package ``tokenizers`` (extra ``tokenizers``) is
    missing.
    """
    if tokenizer is None:
        return estimate
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ConfigurationError(
            "Counting tokens: criteria name a tokenizer, and the package tokenizers is not installed; "
            "install it with pip install 'model-pipeline[tokenizers]', or set tokenizer: null."
        ) from error
    path = Path(tokenizer).expanduser()
    if not path.is_file():
        raise ConfigurationError(
            f"Counting tokens: the tokenizer {tokenizer} is no file; name a tokenizer.json on this machine."
        )
    loaded = Tokenizer.from_file(str(path))
    return lambda text: len(loaded.encode(text, add_special_tokens=True).ids)


def tokens_of(row: Row, count: Count) -> int:
    """Tokens of the prompt, the longer completion, and the tools."""
    longest = max((_part(output, count) for output in outputs_of(row)), default=0)
    tools = row.get("tools") or (row.get("input") or {}).get("tools")
    listed = 0 if tools is None else count(tools if isinstance(tools, str) else str(tools))
    return _part(prompt_of(row), count) + longest + listed


def _part(part: object, count: Count) -> int:
    messages = len(part) if isinstance(part, list) else 1
    return TOKENS_PER_MESSAGE * messages + sum(count(text) for text in texts_of(part))
