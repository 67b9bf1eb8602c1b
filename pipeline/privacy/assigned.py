"""Secrets that a name gives away: ``name = value`` in any writing, and keys of records that name one.

What belongs here: names, the signs behind them, and where the value ends. What does not: what a value looks like
(``secret_values``), and secrets without a name (``secrets``). What documentation writes in place of a secret
(``<password>``, ``${TOKEN}``, ``your-api-key``) is no secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.privacy.found import Rule, Span
from pipeline.privacy.lazily import lazy
from pipeline.privacy.secret_values import plausible

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
    rf"(?:^|[^a-z])(?:{_NAMES})s?(?:$|[^a-z])|passw|secret|apikey|token$|password$|passphrase$|pwd$",
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
)
