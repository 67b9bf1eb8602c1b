"""Secrets that their surroundings give away: a name and a value, a header, a block, a connection string.

Sources: RFC 7519 (JWT), RFC 7468 (PEM), RFC 6750 and 7617 (Bearer, Basic). What does not belong here: tokens
whose prefix names the issuer (``providers``), and what a value looks like (``secret_values``). What documentation writes in place of a secret
(``<password>``, ``${TOKEN}``, ``your-api-key``) is no secret.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from pipeline.privacy.found import Rule, Span, before
from pipeline.privacy.lazily import lazy
from pipeline.privacy.secret_values import FILLER, WORDS, entropy, is_filler, plausible

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


_NAMES = (
    r"pass[_\- ]?(?:word|wd|phrase|code|key)|passwd|pwd|passw|secret|token|api[_\- ]?key|apikey|access[_\- ]?key|auth[_\-]?key|private[_\- ]?key"
    r"|signing[_\- ]?key|encryption[_\- ]?key|master[_\- ]?key|account[_\- ]?key|client[_\- ]?key|service[_\- ]?key|license[_\- ]?key|deploy[_\- ]?key|shared[_\- ]?key|secret[_\- ]?key|app[_\- ]?key|credentials?|wi-?fi[_\- ]key|пapoль|密码|密碼|パスワード|비밀번호|senha|contraseña|mot de passe|passwort|kennwort"
    r"|session[_\-]?id|sessionid|csrf|cookie|authorization|otp|auth|pass|pw|bearer"
)
_ASSIGNED = lazy(
    rf"(?P<name>{_NAMES})(?P<more>s?\[[\"'][\w\-]{{1,40}}[\"']\]|[\w\-]{{0,24}}|\[[\"']?|s?\b|s?\s?\([^()\n]{{1,40}}\)|\s(?:for|to|of)\s[\w \-]{{1,30}}?)(?P<sep>(?:\\?[\"'`\]]|\*\*){{0,3}}\s{{0,3}}(?:=>|->|:=|={{1,3}}|:(?:\*\*(?=\s))?|\||(?:(?:was |has been )?(?:changed|set|reset) )?to\b:?|\bis(?: now| set to)?(?::(?=\s)|\b)|\bwas\b|,|>)\s{{0,3}})"
    r"(?P<open>\\?[\"'`]|\*\*)?(?P<value>[^\s\"'`,;]{4,400})",
    re.IGNORECASE,
)
_STEMS = (
    "pass",
    "pwd",
    "pw",
    "secret",
    "token",
    "credential",
    "contrase",
    "senha",
    "wifi",
    "wi-fi",
    "mot de passe",
    "пapoль",  # as folding leaves it
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
    "kennwort",
    "session",
    "csrf",
    "cookie",
    "auth",
    "otp",
    "bearer",
)
_BEFORE_KEY = lazy(
    r"(?:api|access|auth|private|signing|encryption|master|account|client|service|license|deploy|shared|secret|app)[_\- ]?\Z"
)
_QUOTED_REST = lazy(r"[^\"'`\n\\]{4,400}")
_KEY_NAME = lazy(
    rf"(?:^|[^a-z])(?:{_NAMES})(?:$|[^a-z])|passw|secret|apikey|token$|password$|passphrase$|pwd$",
    re.IGNORECASE,
)

# Names that contain a keyword and mean something else: counts, kinds, times, hashes, places.
_OTHER = lazy(
    r"(?:max|min|num|n|total|input|output|prompt|completion|cached|reasoning|used|per|next|prev|eos|bos|pad|unk|sep|mask|special|stop|start|end|page|continuation|cancellation|syntax)[_\- ]?tokens?\Z"
    r"|tokeni[sz]|(?:token|secret|password|key|auth|passwd|credential|cookie|session)s?[_\-]?(?:count|type|len|length|limit|budget|usage|use|used|size|name|id|ids|index|idx|url|uri|path|file|format|policy|expir\w*|ttl|age|hash|"
    r"class|error|field|input|hint|label|manager|provider|service|store|reset|strength|validator|required|change|changed|updated|version|algorithm|method|mode|scheme|status|state|rotation|endpoint|bucket|arn|ref|reference|domain|samesite|jar|parser|middleware|header|or|and|enabled|disabled|valid|check|verify|for|based)\b"
    r"|author\b|authors?\b|passenger|passive|passing|passed|passes\b|password_\w*(?:field|input)|secretary|tokens\Z",
    re.IGNORECASE,
)


def find_assigned(text: str, start: int, end: int) -> Iterator[Span]:
    """``name = value`` in any writing."""
    stop = min(len(text), end + 480)
    done = start
    for place in _name_places(text, start, end):
        match = _ASSIGNED.match(text, place, stop) if place >= done else None
        span = _assigned(text, match) if match is not None else None
        if span is not None:
            yield span
            done = span.end


def _name_places(text: str, start: int, end: int) -> list[int]:
    """Where a name of a secret may begin; finding stems is forty times faster than the expression."""
    low = text[start : end + 24].lower()
    places = set()
    for stem in _STEMS:
        place = low.find(stem)
        while place >= 0:
            places.add(start + place)
            place = low.find(stem, place + 1)
    place = low.find("key")
    while place >= 0:
        named = _BEFORE_KEY.search(low[max(0, place - 12) : place])
        if named is not None:
            places.add(start + max(0, place - 12) + named.start())
        place = low.find("key", place + 1)
    return sorted(place for place in places if place < end)


_NAMED = lazy(
    rf"(?P<name>{_NAMES})(?P<more>[\w\-]{{0,24}}|s?\b|s?\s?\([^()\n]{{1,40}}\)|\s(?:for|to|of)\s[\w \-]{{1,30}}?)[\"'`*\]\[)\s\\]{{0,8}}(?:[=:>,]|is\b|was\b)",
    re.IGNORECASE,
)


def may_assign(text: str) -> bool:
    """See ``Rule.may_hold``: whether a name in front of a sign is not one of counts, kinds, places and persons."""
    for place in _name_places(text, 0, len(text)):
        match = _NAMED.match(text, place)
        if match is None:
            continue
        name = text[_name_start(text, place) : match.end("more")]
        short = match["name"].lower() in _SHORT_NAMES and not _word_named(text, match)
        if not short and not _OTHER.search(name):
            return True
    return False


def _assigned(text: str, match: re.Match[str]) -> Span | None:
    subscript = "[" in match["more"] and "]" in match["more"]
    more = match["more"].strip("[\"'") if match["more"][:1] not in (" ", "(") and not subscript else ""
    name = text[_name_start(text, match.start()) : match.end("name")] + more
    bare = match["name"].lower()
    if _OTHER.search(name) or (bare in _SHORT_NAMES and not _word_named(text, match)):
        return None
    separator = match["sep"].strip()
    quoted = match["open"] is not None
    if separator == "," and not quoted:
        return None
    weak = (
        separator in (",", ">", "->", "|") or re.search(r"\b(?:is|was|to)\b", separator.lower()) is not None
    )
    strong = not weak and (quoted or separator.strip("\"'`] \\*)") in ("=", ":=", "=>", ":"))
    value = _value(text, match, strong)
    if quoted and " " in value and not _phrase(name, value):
        return None
    word_like = re.search(r"pass|pwd|pw\Z|kennwort|contrase|senha|wi-?fi|[^\x00-\x7f]{2}", bare) is not None
    word_like = word_like or (subscript and quoted)
    identifier = _UUID.fullmatch(value) is not None and re.search(r"key|secret", bare) is not None
    if not identifier and not plausible(value, strong=strong, password=word_like, quoted=quoted):
        return None
    begin = match.start("value")
    return Span(begin, begin + len(value), "SECRET", "assigned", 44)


_SHORT_NAMES = frozenset(("pass", "pw", "auth", "otp", "cookie", "csrf", "bearer"))
_WORDS = lazy(
    r"(?!.{0,60}\b(?:must|should|required|enter|your|for|cannot|least|not|optional|used|to|missing|wrong)\b)[a-z0-9'\-]{2,20}(?: [a-z0-9'\-]{1,20}){2,7}(?=[.!]?(?:\s*\Z|\n|\"))"
)
_VALUE_END = lazy(r"(?:\)|\]|\}|<|\\[nrt\"']).*\Z", re.DOTALL)


def _name_start(text: str, place: int) -> int:
    begin = place
    while begin and place - begin < 40 and (text[begin - 1].isalnum() or text[begin - 1] in "_-"):
        begin -= 1
    return begin


def _value(text: str, match: re.Match[str], strong: bool) -> str:
    """What is assigned: up to the closing quote, or as far as a word goes without the sentence's signs."""
    found = match["value"]
    if match["open"] is not None:
        rest = _QUOTED_REST.match(text, match.start("value"))
        return rest.group() if rest else found
    if strong and "phrase" in match["name"].lower() and (words := _WORDS.match(text, match.start("value"))):
        return words.group()
    value = found.rstrip(".)]}>!?:*\\")
    if strong and found == value + "!":
        value = found
    return _VALUE_END.sub("", value)


def _word_named(text: str, match: re.Match[str]) -> bool:
    left = text[match.start() - 1 : match.start()] if match.start() else " "
    return not left.isalpha() and (
        match["more"] in ("", "_token", "-token", "_key") or match["more"].startswith(("_", "-"))
    )


def _phrase(name: str, value: str) -> bool:
    """A pass phrase or an app password may hold spaces; a sentence after a colon does not count."""
    words = value.split()
    return ("phrase" in name.lower() and len(words) <= 12) or (
        len(words) == 4 and all(len(w) == 4 and w.isalpha() for w in words)
    )


_UUID = lazy(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether a key of a record names a secret, so that its whole value is one."""
    return _KEY_NAME.search(name) is not None and not _OTHER.search(name)


def secret_value(name: str, value: str) -> bool:
    """Whether ``value`` under the key ``name`` is a secret rather than a stand-in or a setting."""
    word_like = re.search(r"pass|pwd|kennwort", name, re.IGNORECASE) is not None
    return " " not in value.strip() and plausible(value.strip(), strong=True, password=word_like, quoted=True)


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


# A number alone under a name such as ``total_tokens`` announces nothing; a quoted number may be a password.
_VALUE_TRIGGER = (
    r"([_\-][\w\-]*|[a-rt-z][a-z]*)?[\"'`\]\\*\s]*(=|:|,|>|is|was)[=>:\s*]*"
    r"([\"'`\\]+[^\s\"'`,;\\(){}\[\]<>$][^\s\"'`,;\\(){}\[\]<>]{4}|[0-9]{0,8}[^\s\"'`,;\\(){}\[\]<>$0-9.][^\s\"'`,;\\(){}\[\]<>]{4}|[0-9]{6})"
)
_TRIGGER_NAMES = (
    r"(pass[_\- ]?(word|wd|phrase|code|key)|passwd|pwd|passw|secret|token|api[_\- ]?key"
    r"|(access|auth|private|signing|encryption|master|account|client|service|license|deploy|shared|app)[_\- ]?key"
    r"|credentials?|mot de passe|passwort|kennwort|contrase.a|senha|wi-?fi[ _\-]key|csrf|cookie|authorization|otp|auth|pass|[^a-z]pw)"
)

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
    ),
    Rule(
        "assigned",
        (
            rf"(?i){_TRIGGER_NAMES}{_VALUE_TRIGGER}",
            r"(?i)pass[_\- ]?phrase[\"']?\s?[:=]\s?[\"']?[a-z0-9'\-]+ [a-z0-9'\-]+ [a-z0-9]",
            r"(?i)(password|passphrase|passcode|pwd|token|secret|key)s?\s?\([^()\n]+\)\s?[:=]\s?[^\s]{5}",
            r"(?i)(password|passphrase|passcode|token|key)\s(for|to|of)\s[\w \-]+\s?(is|:|=)\s?[^\s]{5}",
            r"(?i)(password|passphrase|passcode|pwd)\s(((was |has been )?(changed|set|reset) )?to:?|->|\|)\s[^\s]*[0-9]",
            # Names in other scripts, as the engine sees them.
            r"(\?apo\?\?|\?{2,5})[\"']?\s?[:=]\s?[\"']?[^\s\"'?]{5}",
            r"(?i)(secret|password|token|credential|environ|env|config|settings)s?\[[\"'][\w\-]+[\"']\]\s?=\s?[\"'][^\s\"']{5}",
        ),
        find_assigned,
        may_assign,
    ),
    Rule(
        "random",
        (
            r"(?i)(secret|token|passw|key|credential|auth|bearer|private)[^\n,;{}()\[\]<>]*[^a-z0-9+/_\-.][a-z0-9+/_\-]{20}",
        ),
        find_random,
    ),
)
