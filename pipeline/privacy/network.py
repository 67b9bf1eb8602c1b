"""IP addresses, and web addresses that carry credentials or a token.

Sources: RFC 4291 and 5952 (IPv6), RFC 3986 (addresses). A plain web address is no private datum and is not
reported; connection strings of databases are secrets (``secrets``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.privacy.found import Rule, Span, any_found, before
from pipeline.privacy.lazily import lazy

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = lazy(rf"(?<![0-9A-Za-z_.])(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9A-Za-z_]|\.[0-9])")
_VERSION = lazy(
    r"(?:\b(?:version|versions|ver|vers|v|release|released|build|firmware|revision|rev|section|chapter|clause|figure|table|driver|upgrade[d]? to|"
    r"sdk|cuda|pip install \S+)|==|>=|<=|~=|!=|\^|~|§)\s{0,2}[:=]?\s{0,2}[\"'(]?v?\Z"
)
_PRODUCT = lazy(r"(?<![/\w])[a-z][a-z.\-]{1,30}/\Z")
_SUFFIX = lazy(
    r"[\-+](?:alpha|beta|rc|dev|post|pre|snapshot|release|build|el[0-9]|[a-z]+[0-9]*\b)", re.IGNORECASE
)
_HEADING = lazy(r"[ \t]+[A-Z][a-z]")
# Addresses to ignore, not to bind.
_NOBODY = frozenset(("0.0.0.0", "127.0.0.1", "255.255.255.255"))  # noqa: S104


def find_ipv4(text: str, start: int, end: int) -> Iterator[Span]:
    """IPv4 addresses; version numbers, masks, loopback and unspecified addresses are left alone."""
    for match in _IPV4.finditer(text, start, min(len(text), end + 16)):
        if match.start() >= end:
            return
        if (
            not _is_version(text, match)
            and match.group() not in _NOBODY
            and not match.group().startswith("255.255.")
        ):
            yield Span(match.start(), match.end(), "IP_ADDRESS", "ipv4", 64)


def may_hold_ipv4(text: str) -> bool:
    """See ``Rule.may_hold``: as ``find_ipv4``, versions left in, because their signs may differ in a record's JSON."""
    return any(
        match.group() not in _NOBODY and not match.group().startswith("255.255.")
        for match in _IPV4.finditer(text)
    )


_SUFFIX_STARTS = ("-", "+")
_VERSION_ENDS = (
    "ion",
    "ons",
    "ver",
    "ers",
    "ase",
    "sed",
    "ild",
    "are",
    "ter",
    "use",
    "ure",
    "ble",
    " to",
    "sdk",
    "uda",
)


def _may_name_version(context: str) -> bool:
    """A cheap test that fails where ``_VERSION`` cannot match: thousands of addresses in a row pay only this."""
    if context.endswith(("v", "v ", "v.")) or "pip install" in context:
        return True
    left = context.rstrip(" \t\n:=\"'(v")
    return (
        left.endswith(_VERSION_ENDS)
        or context.rstrip(" \t\n:\"'(v").endswith(("=", "<", ">", "^", "~", "§"))
        or left.endswith("re")
    )


def _is_version(text: str, match: re.Match[str]) -> bool:
    context = before(text, match.start(), 24)
    if (_may_name_version(context) and _VERSION.search(context)) or (
        text[match.end() : match.end() + 1] in _SUFFIX_STARTS and _SUFFIX.match(text, match.end())
    ):
        return True
    if context.endswith("/") and _PRODUCT.search(context):
        octets = _octets(match)
        return not (octets[0] >= 100 or octets[0] == 10) or max(octets[1:]) < 10
    line_start = match.start() == 0 or text[match.start() - 1] == "\n"
    return line_start and max(_octets(match)) < 20 and _HEADING.match(text, match.end()) is not None


def _octets(match: re.Match[str]) -> list[int]:
    return [int(part) for part in match.group().split(".")]


_IPV6 = lazy(
    r"(?<![0-9A-Za-z_:.])(?:[0-9A-Fa-f]{1,4}:|:(?=:))[0-9A-Fa-f:]{1,38}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?:%[\w.\-]{1,20})?(?![0-9A-Za-z_])"
)


def find_ipv6(text: str, start: int, end: int) -> Iterator[Span]:
    """IPv6 addresses; times, slices, hardware addresses and scopes of code are left alone."""
    for match in _IPV6.finditer(text, start, min(len(text), end + 72)):
        if match.start() >= end:
            return
        found = match.group()
        if found.endswith(":") and not found.endswith("::"):
            found = found[:-1]
        if found.count(":") == 8 and "::" not in found:
            found = found.rpartition(":")[0]  # a port behind all eight groups
        if _is_ipv6(found):
            yield Span(match.start(), match.start() + len(found), "IP_ADDRESS", "ipv6", 64)


def _is_ipv6(found: str) -> bool:
    bare = found.partition("%")[0]
    groups = [group for group in bare.split(":") if group]
    if bare.count(":") < 2 or sum(map(len, groups)) < 5 or not any(c.isdigit() for c in bare):
        return False
    if bare.count(":") < 7 and "::" not in bare and "." not in bare:
        return False
    import socket  # only a candidate pays for it

    try:
        socket.inet_pton(socket.AF_INET6, bare)
    except OSError:
        return False
    return True


_WEB = lazy(r"(?:https?|ftps?|wss?|sftp|git\+https?|git|ssh|svn)://", re.IGNORECASE)
_WEB_REST = lazy(r"[^\s\"'<>`\\{}]{3,2000}")
_CREDENTIALS = lazy(r"(?P<user>[^\s/?#@:]{0,128}):(?P<password>[^\s/?#]{1,256})@[\w\[]")
_LONE_TOKEN = lazy(r"(?P<password>[A-Za-z0-9_\-]{20,256})@[\w\[]")
_QUERY = lazy(
    r"[?&;#](?:[\w.\-]{0,24}?[_.\-])?(?:token|access_?token|id_?token|refresh_?token|auth_?token|authtoken|api_?key|apikey|key|sig|signature|secret|client_secret"
    r"|password|passwd|pwd|pass|auth|authorization|credential|session|sessionid|session_?id|sid|jwt|otp|code|state_token|ticket|hmac|x-amz-signature|x-amz-credential"
    r"|x-amz-security-token|x-goog-signature|subscription-key|invite|reset)=(?P<value>[^\s&#;\"'<>]{6,2000})",
    re.IGNORECASE,
)


def find_urls(text: str, start: int, end: int) -> Iterator[Span]:
    """Web addresses with a user's password or a token in the query: the whole address, and the secret in it."""
    from pipeline.privacy.secret_values import is_filler

    place = start
    while (scheme := _WEB.search(text, place, min(len(text), end + 12))) is not None and scheme.start() < end:
        place = scheme.end()
        rest = _WEB_REST.match(text, place)
        if rest is None:
            continue
        finish = rest.end() - (len(rest.group()) - len(rest.group().rstrip(".,;:!?)]*|")))
        place = max(place, finish)
        given = _CREDENTIALS.match(text, scheme.end(), finish) or _LONE_TOKEN.match(
            text, scheme.end(), finish
        )
        if given is not None and not is_filler(given["password"]):
            yield Span(scheme.start(), finish, "URL", "url_credentials", 56)
            yield Span(given.start("password"), given.end("password"), "SECRET", "url_password", 57)
            continue
        for query in _QUERY.finditer(text, scheme.end(), finish):
            if not is_filler(query["value"]) and _token_like(query["value"]):
                yield Span(scheme.start(), finish, "URL", "url_token", 56)
                yield Span(query.start("value"), query.end("value"), "SECRET", "url_token", 57)
                break


def _token_like(value: str) -> bool:
    return (
        any(c.isdigit() for c in value) or len(value) >= 20 or (not value.islower() and not value.isupper())
    )


RULES = (
    Rule("ipv4", (r"[^0-9A-Za-z_.][0-9]+\.[0-9]+\.[0-9]+\.[0-9]",), find_ipv4, may_hold_ipv4),
    Rule(
        "ipv6",
        (
            r"[0-9A-Fa-f]:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]",
            r"(?i)[^g-z_][0-9a-f]::",
            r"(?i)[^0-9a-z_:.]::[0-9a-f]",
        ),
        find_ipv6,
        any_found(find_ipv6),
    ),
    Rule(
        "url",
        (
            r"(?i)(http|https|ftp|ftps|ws|wss|sftp|git|ssh|svn)://[^\s/?#@]+@",
            r"(?i)(token|key|sig|signature|secret|password|passwd|pwd|pass|auth|authorization|credential|session|sessionid|sid|jwt|otp|code|ticket|hmac|invite|reset|session_?id)=[^\s&#;]{6}",
        ),
        find_urls,
    ),
)
