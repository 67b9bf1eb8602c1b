"""Secrets that their form gives away: a web token, a key block, a connection string, random characters.

Sources: RFC 7519 (JWT), RFC 7468 (PEM). What does not belong here: a name and its value (``assigned``), commands and
headers (``commands``), tokens whose prefix names the issuer (``providers``), and what a value looks like (``secret_values``).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from pipeline.privacy.found import Rule, Span, before
from pipeline.privacy.lazily import lazy
from pipeline.privacy.secret_values import FILLER, WORDS, entropy, is_filler

_JWT = lazy(
    r"(?<![A-Za-z0-9_\-])eyJ[A-Za-z0-9_\-]{8,8000}\.[A-Za-z0-9_\-]{4,16000}(?:\.[A-Za-z0-9_\-]*){0,3}"
)


def find_jwts(text: str, start: int, end: int) -> Iterator[Span]:
    """JSON Web Tokens and encryptions: the first part decodes to a JSON object with ``alg`` or ``typ``."""
    for match in _JWT.finditer(text, start, min(len(text), end + 16_000)):
        if match.start() >= end:
            return
        head = match.group().partition(".")[0]
        decoded = binascii.a2b_base64(head.replace("-", "+").replace("_", "/")[: len(head) // 4 * 4])
        if b'"' in decoded and any(name in decoded for name in (b"alg", b"typ", b"enc", b"kid", b"zip")):
            yield Span(match.start(), match.start() + len(match.group().rstrip(".")), "SECRET", "jwt", 82)


_PEM = lazy(r"-----BEGIN (?P<kind>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----")
_PEM_BODY = lazy(r"(?:[A-Za-z0-9+/=\s]|\\+[nr]|[A-Za-z\-]{2,20}: [^\n\\]{0,120}|\"|'|,|\+)*")


def find_pem_keys(text: str, start: int, end: int) -> Iterator[Span]:
    """Private key blocks to their end line, or as far as the key's characters go where it was cut off."""
    place = start
    while (match := _PEM.search(text, place, min(len(text), end + 80))) is not None and match.start() < end:
        closing = f"-----END {match['kind']}-----"
        finish = text.find(closing, match.end(), match.end() + 20_000)
        if finish >= 0:
            finish += len(closing)
        else:
            body = re.compile(r"(?:[A-Za-z0-9+/=\s]|\\[nr])*").match(text, match.end(), match.end() + 20_000)
            finish = match.end() + len(body.group().rstrip()) if body else match.end()
            if finish - match.end() < 24:
                place = match.end()
                continue
        place = finish
        yield Span(match.start(), finish, "SECRET", "private_key", 84)
    putty = text.find("PuTTY-User-Key-File-", start, end)
    if putty >= 0:
        mac = re.compile(r"Private-MAC: [0-9a-f]+").search(text, putty, putty + 20_000)
        yield Span(putty, mac.end() if mac else min(len(text), putty + 20_000), "SECRET", "private_key", 84)


_CONNECTION = lazy(
    r"(?<![A-Za-z0-9+.\-])(?!https?:|ftps?:|wss?:|git\+|git:|ssh:|sftp:|svn:)[a-z][a-z0-9+.\-]{1,30}://(?P<user>[^\s/?#:@\"'<>`]{0,128}):(?P<password>[^\s\"'<>`/]{1,256}|[^\s\"'<>`]{1,64})@[^\s\"'<>`\\,;)]{1,400}",
    re.IGNORECASE,
)
_KEYED = lazy(
    r"(?:password|pwd|accountkey|sharedaccesskey)\s?=\s?(?P<password>[^;\"'\s]{3,200})", re.IGNORECASE
)
_KEYED_NAME = lazy(r"password|pwd|accountkey|sharedaccesskey", re.IGNORECASE)
_KEYED_HEAD = lazy(
    r"(?:server|data source|host|endpoint|defaultendpointsprotocol|accountname|driver|uid|user id|userid|user|database|initial catalog)\s?=",
    re.IGNORECASE,
)


def find_connections(text: str, start: int, end: int) -> Iterator[Span]:
    """Connection strings with a password: addresses of databases and queues, and ``Server=…;Password=…``."""
    stop = min(len(text), end + 700)
    for place in _occurrences(text, "://", start, end):
        match = _CONNECTION.match(text, _scheme_start(text, place), stop)
        if match is not None and not _documented(match["user"], match["password"]):
            yield Span(
                match.start(),
                match.start() + len(match.group().rstrip(".")),
                "SECRET",
                "connection_string",
                78,
            )
    for match in _KEYED.finditer(text, start, stop):
        if match.start() >= end or is_filler(match["password"]):
            continue
        left = re.split(r"[\"'\n]", text[max(0, match.start() - 400) : match.start()])[-1]
        head = _KEYED_HEAD.search(left)
        if head is not None and ";" in left:
            tail = text[match.end() : match.end() + 400]
            rest = re.match(r"(?:;[\w ]{2,40}=[^;\"'\s]{0,200}){0,12};?", tail)
            begin = match.start() - len(left) + head.start()
            yield Span(begin, match.end() + (rest.end() if rest else 0), "SECRET", "connection_string", 78)


def may_connect(text: str) -> bool:
    """See ``Rule.may_hold``: whether a password stands in an address, or beside ``;`` and a name of a connection."""
    return any(
        _CONNECTION.match(text, _scheme_start(text, place)) is not None
        for place in _occurrences(text, "://", 0, len(text))
    ) or (";" in text and _KEYED_NAME.search(text) is not None)


def _occurrences(text: str, literal: str, start: int, end: int) -> Iterator[int]:
    place = text.find(literal, start, end)
    while place >= 0:
        yield place
        place = text.find(literal, place + 1, end)


def _scheme_start(text: str, place: int) -> int:
    begin = place
    while (
        begin
        and place - begin < 31
        and (text[begin - 1].isalnum() or text[begin - 1] in "+.-")
        and text[begin - 1].isascii()
    ):
        begin -= 1
    return begin


def _documented(user: str, password: str) -> bool:
    generic = {
        "user",
        "username",
        "usr",
        "name",
        "myuser",
        "dbuser",
        "db_user",
        "login",
        "your_user",
        "your_username",
        "usuario",
        "postgres",
        "root",
    }
    return FILLER.fullmatch(password) is not None or (user.lower() in generic and password.lower() in WORDS)


_RANDOM = lazy(r"(?<![A-Za-z0-9+/_\-.])[A-Za-z0-9+/_\-]{20,200}={0,2}(?![A-Za-z0-9+/_\-])")
_NEAR = lazy(r"secret|token|passw|api.?key|\bkey\b|credential|access.?key|auth|bearer|private")


def find_random(text: str, start: int, end: int) -> Iterator[Span]:
    """A run of random characters shortly after a word that announces a secret."""
    for match in _RANDOM.finditer(text, start, min(len(text), end + 204)):
        if match.start() >= end:
            return
        value = match.group()
        mixed = (
            any(c.isdigit() for c in value)
            and any(c.isupper() for c in value)
            and any(c.islower() for c in value)
        )
        if (
            not mixed
            or entropy(value) < 3.8
            or ("/" in value and value.count("/") > 2)
            or value.startswith("AAAA")
            or is_filler(value)
        ):
            continue
        context = before(text, match.start(), 60)
        if _NEAR.search(context) and not re.search(
            r"(?:hash|sha\d*|digest|checksum|commit|etag|integrity|fingerprint|id)[\"'\s:=]*\Z", context
        ):
            yield Span(match.start(), match.end(), "SECRET", "random", 42)


RULES = (
    Rule("jwt", (r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{4}",), find_jwts),
    Rule("private_key", (r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY", "PuTTY-User-Key-File-"), find_pem_keys),
    Rule(
        "connection",
        (
            r"[A-Za-z0-9+.\-]://[^\s/?#@\"'<>]*:[^\s\"'<>]+@",
            r"(?i)(server|source|host|endpoint|protocol|name|driver|uid|user|userid|user id|database|catalog)\s?=[^;\n]*;",
        ),
        find_connections,
        may_connect,
    ),
    Rule(
        "random",
        (
            r"(?i)(secret|token|passw|key|credential|auth|bearer|private)[^\n,;{}()\[\]<>]*[^a-z0-9+/_\-.][a-z0-9+/_\-]{20}",
        ),
        find_random,
    ),
)
