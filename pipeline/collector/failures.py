"""Which failure is what: classes of errors, whether another attempt may help, and the sentence about them.

What belongs here: naming. What does not: waiting and trying again (``client``).
"""

from __future__ import annotations

from dataclasses import dataclass

PERMANENT = {
    400: "bad_request", 401: "unauthorized", 402: "payment_required", 403: "forbidden", 404: "not_found",
    405: "not_allowed", 410: "gone", 413: "too_large", 415: "unsupported", 422: "unprocessable",
    501: "not_implemented",
}  # fmt: skip
RETRIED = {408: "timeout", 409: "conflict", 425: "too_early", 429: "rate_limited"}
ADVICE = {
    "unauthorized": "check the environment variable of the key",
    "forbidden": "check the key and what it permits",
    "not_found": "check base_url and api_model_name",
    "payment_required": "check the account's balance",
    "quota_exhausted": "check the account's balance",
    "redirected": "write the address it leads to into base_url if that is right",
    "forbidden_address": "set allow_private_address if that is right",
    "too_large": "shorten the prompt, or raise max_response_bytes if the answer was too large",
}
OF_THE_ENDPOINT = frozenset({"timeout", "server_error", "connection_failed", "connection_broken"})
"""Failures that say the endpoint is down: they count for the circuit."""
PERHAPS_BILLED = frozenset({"timeout", "connection_broken", "malformed_answer", "too_large"})
"""Failures after which the host may have answered and billed all the same; refusals are not billed."""
OVERLOAD = frozenset({"timeout", "rate_limited"})
"""Failures that ask for fewer requests at once."""


@dataclass(frozen=True, slots=True)
class Stumble:
    """One attempt that brought no answer. ``status`` None where none came; ``asked`` seconds to wait."""

    error_class: str
    what: str
    again: bool
    infrastructure: bool
    status: int | None = None
    asked: float | None = None
    bytes_received: int = 0


def of_status(status: int, detail: str, code: str, asked: float | None, received: int) -> Stumble:
    """The stumble that an error status means."""
    said = f"it answered {status}" + (f": {detail}" if detail else "")
    if status == 429 and code in ("insufficient_quota", "billing_hard_limit_reached"):
        return Stumble("quota_exhausted", said, False, True, status, asked, received)
    if status in RETRIED:
        return Stumble(RETRIED[status], said, True, True, status, asked, received)
    if 300 <= status < 400:
        return Stumble("redirected", "it leads to another address", False, False, status, None, received)
    if status >= 500 and status not in PERMANENT:
        return Stumble("server_error", said, True, True, status, asked, received)
    return Stumble(PERMANENT.get(status, "refused"), said, False, False, status, None, received)


def sentence(model: str, shown: str, stumble: Stumble, attempts: int) -> str:
    """What was being done, what was found, what to do."""
    after = f" after {attempts} attempts" if attempts > 1 else ""
    help_ = ADVICE.get(stumble.error_class)
    if help_ is None:
        help_ = (
            "run again later" if stumble.infrastructure else "correct the request; trying again does not help"
        )
    return f"Asking {model} at {shown}: {stumble.what}{after}; {help_}."
