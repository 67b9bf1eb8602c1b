"""Taking secrets out of what is said about a request.

What belongs here: scrubbing texts and log records. What does not: which names are secret
(``pipeline.settings.addresses``).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from pipeline.settings.addresses import redact_url

_URL_IN_TEXT = re.compile(r"https?://[^\s'\"<>]+")
LONGEST = 200


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """At most 200 characters of the text, printable, without the secrets and with plain addresses."""
    for value in secrets:
        if value:
            text = text.replace(value, "***")
            word = value.rpartition(" ")[2]
            if len(word) >= 6:
                text = text.replace(word, "***")
    text = _URL_IN_TEXT.sub(lambda found: redact_url(found.group()), text)
    return "".join(character if character.isprintable() else " " for character in text)[:LONGEST].strip()


class RedactingFilter(logging.Filter):
    """httpx logs whole addresses; this takes the secrets out of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keeps every record, redacted."""
        record.msg = _URL_IN_TEXT.sub(lambda found: redact_url(found.group()), record.getMessage())
        record.args = ()
        return True


def quieten(logger: logging.Logger) -> None:
    """Makes a logger redact addresses; once is enough."""
    if not any(isinstance(known, RedactingFilter) for known in logger.filters):
        logger.addFilter(RedactingFilter())
