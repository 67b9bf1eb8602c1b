"""What response headers say: which are kept, how long to wait, which tag to send back.

What belongs here: reading header values. What does not: sending and retrying (``pipeline.http``).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

HEADER_VALUE = re.compile(r"[\x20-\x7e]*\Z")
"""What a header's value may hold to be sent."""

_LIMITS = ("limit", "remaining", "reset")
KEPT_HEADERS = frozenset(
    {"content-type", "last-modified", "retry-after", "x-quota-remaining", "x-ratelimit-remaining-day"}
    | {f"{prefix}ratelimit-{name}" for prefix in ("", "x-") for name in _LIMITS}
)
"""Response headers that are handed on; cookies and the like are not."""

QUOTA_HEADERS = (
    "x-quota-remaining",
    "x-ratelimit-remaining-day",
    "x-ratelimit-remaining",
    "ratelimit-remaining",
)


def retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks to wait, from seconds or an HTTP date; never negative."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        instant = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def usable_etag(text: str | None) -> str | None:
    """An ETag that can be sent back: short and printable."""
    if not text or len(text) > 256 or not HEADER_VALUE.match(text):
        return None
    return text.strip() or None
