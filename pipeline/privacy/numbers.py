"""Payment cards, bank accounts and US social security numbers: candidates by shape, confirmed by checksum.

Sources: ISO/IEC 7812 (card prefixes and Luhn), the SWIFT IBAN registry (lengths by country), SSA's rules for
numbers that are never issued.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.privacy.checksums import luhn, mod97
from pipeline.privacy.found import Rule, Span, any_found, before
from pipeline.privacy.lazily import lazy

# The look behind comes second: a first character of a few lets the expression skip ahead fast.
_CARD = lazy(
    r"[2-69](?<![0-9].)[0-9OoIl|]{3}(?:(?:[ \-._]{1,2}|[ ]?\r?\n[ ]?|[ ]?[\-][ ])?[0-9OoIl|]){8,15}",
    re.DOTALL,
)
_CARD_GROUPED = lazy(r"[2-6](?<![0-9].)(?:[ \-._][0-9]){12,18}(?![0-9])", re.DOTALL)
_LOOK_ALIKE_DIGITS = str.maketrans("OoIl|", "00111", " -._\r\n")
_GROUP = lazy(r"[0-9OoIl|]+")
_CARD_LENGTHS = (16, 15, 14, 19, 13, 18, 17)


def find_cards(text: str, start: int, end: int) -> Iterator[Span]:
    """Card numbers with or without separators; a decimal fraction or a piece of a hash is none."""
    place = start
    seen: dict[tuple[str, bool], int] = {}  # a text that repeats itself is decided once
    while (match := _CARD.search(text, place, min(len(text), end + 48))) is not None and match.start() < end:
        span = _card(text, match, seen)
        yield from () if span is None else (span,)
        place = span.end if span is not None else match.start() + 4
    for match in _CARD_GROUPED.finditer(text, start, min(len(text), end + 48)):
        digits = match.group()[::2]
        if match.start() < end and _issuer(digits) and luhn(digits):
            yield Span(match.start(), match.end(), "CREDIT_CARD", "card", 70)


def _card(text: str, match: re.Match[str], seen: dict[tuple[str, bool], int]) -> Span | None:
    start, found = match.start(), match.group()
    if start and (text[start - 1].isalnum() or text[start - 1] in "_+"):
        return None  # part of a name, or a telephone number
    if start > 1 and text[start - 1] == "." and text[start - 2].isdigit():
        return None
    following = text[match.end() : match.end() + 1]
    candidate = found, following.isalnum() or following == "_"
    size = seen.get(candidate)
    if size is None:
        size = seen[candidate] = _card_size(*candidate)
    return Span(start, start + size, "CREDIT_CARD", "card", 70) if size else None


def _card_size(found: str, goes_on: bool) -> int:
    """How many characters of a candidate are a card number; 0 where none are."""
    digits = found.translate(_LOOK_ALIKE_DIGITS)
    if not _issuer(digits) or (not digits.isdigit()) or len(digits) - sum(map(found.count, "OoIl|")) < 10:
        return 0
    count = 0
    ends: dict[int, int] = {}
    for group in _GROUP.finditer(found):
        count += len(group.group())
        ends[count] = group.end()
    if goes_on:
        del ends[count]
    for length in _CARD_LENGTHS:
        if length in ends and luhn(digits[:length]) and digits.count(digits[0], 0, length) < length:
            return ends[length]
    return 0


def _issuer(digits: str) -> bool:
    """Whether a network issues cards that begin so: Visa, Mastercard, Amex, Discover, JCB, UnionPay and others."""
    first, two, four = digits[0], int(digits[:2]), int(digits[:4])
    return (
        first in "456"
        or 2200 <= four <= 2720
        or two in (34, 37, 36, 38, 39)
        or 3000 <= four <= 3059
        or four == 3095
        or 3528 <= four <= 3589
        or four == 9792
    )


IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
"""Characters of an IBAN by country."""

_NO_SEPARATORS = str.maketrans("", "", " -._")
# From the check digits on, which are rarer than letters; country and separator stand before them.
_IBAN = lazy(
    r"[0-9](?:(?<=[A-Za-z]{2}.)|(?<=[A-Za-z]{2}[ \-].))[0-9](?:[ \-._]{0,2}[A-Za-z0-9]){11,30}", re.DOTALL
)


def find_ibans(text: str, start: int, end: int) -> Iterator[Span]:
    """International bank account numbers whose country, length and check digits hold."""
    place, stop = start, min(len(text), end + 72)
    refused: set[str] = set()  # a text that repeats itself is decided once
    while (match := _IBAN.search(text, place, stop)) is not None and match.start() < end + 3:
        place = match.start() + 1
        begin = match.start() - (2 if text[match.start() - 1].isalpha() else 3)
        if not start <= begin < end or not _begins_word(text, begin):
            continue
        found = text[begin : match.end()]
        span = None if found in refused else _iban(text, begin, found)
        if span is None:
            refused.add(found)
            continue
        yield span
        place = span.end


def _begins_word(text: str, place: int) -> bool:
    before_it = text[max(0, place - 4) : place]
    return not (before_it[-1:].isascii() and before_it[-1:].isalnum()) or before_it.upper() == "IBAN"


def _iban(text: str, begin: int, found: str) -> Span | None:
    length = IBAN_LENGTHS.get(found[:2].upper())
    if length is None:
        return None
    compact = found.translate(_NO_SEPARATORS).upper()[:length]
    if len(compact) < length or not mod97(compact):
        return None
    places = [place for place, character in enumerate(found) if character.isalnum()]
    finish = begin + places[length - 1] + 1
    if text[finish : finish + 1].isalnum():
        return None
    return Span(begin, finish, "IBAN_CODE", "iban", 70)


_SSN = lazy(
    r"(?<![0-9])(?<![0-9][\-.])(?!000|666|9)[0-9]{3}([\-. ])(?!00)[0-9]{2}\1(?!0000)[0-9]{4}(?![0-9A-Za-z_]|[\-.][0-9])"
)
_SSN_BARE = lazy(
    r"(?<![0-9A-Za-z.\-])(?!000|666|9)[0-9]{3}(?!00)[0-9]{2}(?!0000)[0-9]{4}(?![0-9A-Za-z]|[\-.][0-9])"
)
_SSN_CONTEXT = lazy(
    r"\b(?:ssn|ss#|ss\b|soc(?:ial)?[ _\-]*sec|tax[ _\-]?(?:payer )?(?:id|number)|social)|ssn", re.IGNORECASE
)


def find_ssns(text: str, start: int, end: int) -> Iterator[Span]:
    """US social security numbers: three groups, or nine digits where the words before say what they are."""
    for match in _SSN.finditer(text, start, min(len(text), end + 16)):
        if match.start() < end and not (match[1] != "-" and _in_series(text, match)):
            yield Span(match.start(), match.end(), "US_SSN", "ssn", 66)
    for match in _SSN_BARE.finditer(text, start, min(len(text), end + 16)):
        if match.start() < end and _SSN_CONTEXT.search(before(text, match.start(), 40)):
            yield Span(match.start(), match.end(), "US_SSN", "ssn_context", 66)


def _in_series(text: str, match: re.Match[str]) -> bool:
    """Whether more numbers stand right beside it, as in a table of figures."""
    around = text[max(0, match.start() - 2) : match.start()], text[match.end() : match.end() + 2]
    return any(
        len(part.strip()) and part.strip()[-1 if place == 0 else 0].isdigit()
        for place, part in enumerate(around)
    )


RULES = (
    Rule(
        "card",
        (
            r"[^0-9a-zA-Z_.]([2-6][0-9]{3}|9792)[0-9OoIl| \-_][0-9OoIl| \-._]{7}[0-9OoIl|]",
            r"[^0-9a-zA-Z_.]([2-6][0-9]{3}|9792)[ \-\r\n]{2,3}[0-9]{4,6}[ \-\r\n]{2,3}[0-9]{4}",
            r"[^0-9a-zA-Z_.]([2-6][0-9]{3}|9792)\r?\n[0-9]{4,6}\r?\n[0-9]{4}",
            r"[^0-9a-zA-Z_.]([2-6][0-9OoIl|]{3}|9792)[ \-.][0-9OoIl|]{4,6}[ \-.][0-9OoIl|]{4}",
            r"[^0-9][2-6]([ \-._][0-9]){12}",
        ),
        find_cards,
        any_found(find_cards),
    ),
    Rule(
        "iban",
        (
            r"[^A-Za-z0-9][A-Z]{2}[ \-]?[0-9]{2}[ \-._]{0,2}[A-Z0-9]{4}[ \-._]{0,2}[A-Z0-9]{4}",
            r"IBAN[A-Z]{2}[0-9]{2}",
            # In small letters half the hashes begin like an account number, so more of it is asked for.
            r"[^A-Za-z0-9][a-z]{2}([0-9]{10}|[0-9]{2}[a-z][0-9]{10}|[0-9]{2}[a-z]{4}[0-9]{4}|[0-9]{2}[ .][a-z0-9]{4}[ .][a-z0-9]{4}|[0-9]{2}-[0-9]{4}-[0-9]{4}-[0-9])",
        ),
        find_ibans,
        any_found(find_ibans),
    ),
    Rule(
        "ssn",
        (
            r"[^0-9][0-8][0-9]{2}[\-. ][0-9]{2}[\-. ][0-9]{4}",
            r"(?i)(ssn|soc(ial)?[ _-]?sec|[^a-z]ss[# ]|tax[ _-]?id|taxpayer)[^0-9\n]*[0-9]{9}",
        ),
        find_ssns,
    ),
)
