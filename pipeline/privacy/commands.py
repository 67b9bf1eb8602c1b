"""Secrets on command lines, in headers and in the words around them: no ``name = value``, but as telling.

What belongs here: flags, ``curl -u``, ``Authorization`` headers (RFC 6750 and 7617), SQL, ``name``/``value`` pairs, and a
password that only a space parts from its name. What does not: assignments (``secrets``).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from pipeline.privacy.found import Rule, Span
from pipeline.privacy.lazily import lazy
from pipeline.privacy.secret_values import classes, is_filler, plausible

_FLAG = lazy(
    r"(?<!\S)--?(?:[\w\-]{0,24}?(?P<name>password|passwd|secret|token|api-?key|key|auth|credentials?))[= ]\s?[\"']?(?P<value>[^\s\"']{6,400})",
    re.IGNORECASE,
)
_HEADER = lazy(
    r"(?:\b(?P<kind>bearer|basic|token|apikey|negotiate|digest)[ \t]+)(?P<value>[A-Za-z0-9+/=_.~\-]{12,4000})",
    re.IGNORECASE,
)
_CURL_USER = lazy(
    r"(?<!\S)(?:-u|--user|--proxy-user)[= ]?\s?[\"']?(?P<user>[^\s:\"'$<{]{1,64}):(?P<value>[^\s\"'$<{][^\s\"'<{]{2,200})"
)
_SHORT_FLAG = lazy(
    r"\b(?:mysql(?:dump|admin)?|mariadb|sshpass|redis-cli)\b[^\n|;]{0,120}?\s-[pa] ?[\"']?(?P<value>[^\s\"'\-$<][^\s\"'<]{3,200})"
)
_NETRC = lazy(r"\b(?:login|user)\s{1,4}\S{1,64}\s{1,4}password\s{1,4}(?P<value>\S{4,200})")
_QUOTED = lazy(
    r"\b(?:(?P<phrase>pass[ _]?phrase)|password|passcode|identified by)\s{1,3}(?P<quote>[\"'])(?P<value>[^\"'\n]{5,200})(?P=quote)",
    re.IGNORECASE,
)
_SPACED = lazy(
    r"\b(?:password|passphrase|passcode|passwd)[ \t]{1,3}\(?(?P<value>(?=[^\s]{0,63}[0-9])(?=[^\s]{0,63}[A-Za-z])[^\s\"'`,;()<>=:]{6,64})",
    re.IGNORECASE,
)
_PAIR = lazy(
    r"(?:password|passwd|secret|token|api_?key)[\w\-]{0,24}[\"']?,?\s{1,40}[\"']?value[\"']?\s?[:=]\s?[\"']?(?P<value>[^\s\"'<>]{5,200})",
    re.IGNORECASE,
)
_ONE_TIME = lazy(
    r"\b(?:otp|pin|passcode|one[\- ]time (?:pass)?(?:word|code)|(?:verification|security|access|login|2fa) code)(?: code| number)?\"?\s{0,2}(?:\bis\b|\bwas\b|:|=){1,2}\s{0,2}\"?(?P<value>[0-9]{4,8})(?![0-9A-Za-z_]|[.\-:][0-9])",
    re.IGNORECASE,
)
_COMMANDS = (
    (_ONE_TIME, "one_time", ("otp", "pin", "code", "one")),
    (_FLAG, "flag", ("--", " -")),
    (_CURL_USER, "curl_user", ("-u", "--proxy")),
    (_SHORT_FLAG, "flag", ("mysql", "mariadb", "sshpass", "redis-cli")),
    (_NETRC, "netrc", ("login", "user")),
    (_QUOTED, "quoted", ("pass", "identified")),
    (_SPACED, "spaced", ("pass",)),
    (_PAIR, "pair", ("value",)),
)
_SCHEMES = ("bearer", "basic", "token ", "token\t", "apikey", "negotiate", "digest")


def find_commands(text: str, start: int, end: int) -> Iterator[Span]:
    """Flags of commands, ``curl -u``, quoted passwords, pairs and ``Authorization`` headers."""
    stop = min(len(text), end + 480)
    low = text[start:stop].lower()
    for pattern, rule, words in _COMMANDS:
        if not any(word in low for word in words):
            continue
        for match in pattern.finditer(text, start, stop):
            if match.start() < end and _counts(match, rule):
                yield Span(match.start("value"), match.end("value"), "SECRET", rule, 46)
    if any(word in low for word in _SCHEMES):
        yield from _headers(text, start, end)


def _counts(match: re.Match[str], rule: str) -> bool:
    value = match["value"]
    if rule == "quoted" and " " in value:
        return match["phrase"] is not None and 3 <= len(value.split()) <= 12
    if rule == "one_time":
        return len(set(value)) > 1
    if rule == "spaced":
        # Between a name and a word only a space: it must look like nothing but a password.
        return (
            classes(value) >= 2
            and plausible(value.rstrip("."), strong=False, password=True)
            and not value[0].isdigit()
        )
    password = rule != "flag" or "name" not in match.re.groupindex or match["name"].lower().startswith("pass")
    return plausible(value, strong=True, password=password, quoted=password)


def _headers(text: str, start: int, end: int) -> Iterator[Span]:
    for match in _HEADER.finditer(text, start, min(len(text), end + 4200)):
        value = match["value"].rstrip(".")
        if match.start() < end and not is_filler(value) and _header_value(match["kind"].lower(), value):
            yield Span(match.start("value"), match.start("value") + len(value), "SECRET", "authorization", 48)


def _header_value(kind: str, value: str) -> bool:
    if kind == "basic":
        try:
            decoded = binascii.a2b_base64(value + "=" * (-len(value) % 4)).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return ":" in decoded and decoded.isprintable()
    return len(value) >= 16 and classes(value) >= 2 and any(c.isdigit() for c in value)


RULES = (
    Rule(
        "command",
        (
            r"(?i)--?[\w\-]{0,24}(password|passwd|secret|token|key|auth|credential)s?[= ]\s?[\"']?[^\s\"'\-]{6}",
            r"(?i)(otp|[^a-z]pin|passcode|one.time (password|code|passcode)|(verification|security|access|login|2fa) code)( code| number)?[^\n,;]{0,3}(is|was|:|=)[ :\"]{0,4}[0-9]{4}",
            r"(?i)(bearer|basic|token|apikey|negotiate|digest)[ \t]+[A-Za-z0-9+/=_.~\-]{12}",
            r"(sshpass|mysql|mysqldump|mysqladmin|mariadb|redis-cli)[^\n|;]*\s-[pa] ?[^\s\-]",
            r"(login|user)\s+\S+\s+password\s+\S{4}",
            r"(-u|--user|--proxy-user)[= ]?\s?[\"']?[^\s:\"'$<{]+:[^\s\"'$<{][^\s\"'<{]{2}",
            r"(?i)(pass[ _]?phrase|password|passcode|identified by)\s+[\"'][^\"'\n]{5}",
            r"(?i)(password|passphrase|passcode|passwd)[ \t]+[^\s\"'`,;<>=:]*[0-9]",
            r"(?i)(password|passwd|secret|token|api_?key)[\w\-]*[\"']?,?\s+[\"']?value[\"']?\s?[:=]\s?[\"']?[^\s\"'<>]{5}",
        ),
        find_commands,
    ),
)
