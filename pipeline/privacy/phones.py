"""Telephone numbers: shapes that speak for themselves, else words before them, else phonenumbers' metadata.

Sources: ITU-T E.164 (country codes, 15 digits at most), the North American numbering plan. The metadata of
``phonenumbers`` is large and its parser slow, so its patterns are loaded for the first doubtful number and
matched here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.privacy.found import Rule, Span, before
from pipeline.privacy.lazily import lazy
from pipeline.privacy.phone_plans import COUNTRY_CODES, national_numbers

MOST_QUESTIONS = 40
"""Doubtful numbers looked up in one stretch of text, at 20 us each; further ones count as numbers."""

_CANDIDATE = lazy(
    # The looks behind come second: a first character of a few lets the expression skip ahead fast.
    r"[+(0-9](?<![0-9A-Za-z_].)(?<![0-9][.,\-/].)(?:(?<=\+)[ ]?\(?[0-9]|(?<=\()[0-9]|(?<=[0-9]))(?:[ \t()\-./]{0,3}[0-9]){6,16}"
    r"(?:[ ,;]{0,2}(?:x|ext\.?|extension|#)[ ]?[0-9]{1,6})?(?![0-9A-Za-z_])",
    re.IGNORECASE | re.DOTALL,
)
CONTEXT = (
    r"phone|tel(?:efon|efono|éfono|éphone|\b|:)|mobile?|cell|fax|whatsapp|sms|call(?:back)?\b|dial|text me|reach (?:me|us|him|her|them) (?:at|on)"
    r"|contact|handy|móvil|celular|portable|numéro|número|rufnummer|hotline|ring me|ph[:.]|viber|signal|voicemail|\b(?:my|her|his|our|your|their) number|\bring\b|\b[tm]:"
)
_CONTEXT = lazy(rf"(?:{CONTEXT})", re.IGNORECASE)
_NANP = lazy(
    r"(?:\+?1[ .\-/]{0,2}|001[ .\-/]{0,2})?(?:\([0-9]{3}\)[ .\-]{0,2}[0-9]{3}[ .\-]?[0-9]{4}|[0-9]{3}([ .\-/])[0-9]{3}[ .\-][0-9]{4})\Z"
)
_DATE = lazy(
    r"(?:(?:19|20)[0-9]{2}[\-./ ][01]?[0-9][\-./ ][0-3]?[0-9]|[0-3]?[0-9][\-./ ][0-3]?[0-9][\-./ ](?:19|20)[0-9]{2})(?![0-9])"
)
# A range of years, a difference, a fraction.
_CALCULATED = lazy(r"\(?(?:1[89]|20)[0-9]{2} ?- ?(?:1[89]|20)[0-9]{2}\Z|[0-9] - [0-9]|\A[0-9]+\.[0-9]+\Z")
_NO_DIGITS = bytes(value for value in range(256) if not 48 <= value <= 57)
_GROUP = lazy(r"[0-9]+")
_EXTENSION = lazy(r"[ ,;]{0,2}(?:x|ext\.?|extension|#)[ ]?[0-9]{1,6}\Z", re.IGNORECASE)


def find_phones(text: str, start: int, end: int) -> Iterator[Span]:
    """Telephone numbers that begin in the stretch."""
    place, questions = start, 0
    while (
        match := _CANDIDATE.search(text, place, min(len(text), end + 48))
    ) is not None and match.start() < end:
        place = match.end()
        if _in_uuid(text, match):
            continue
        verdict = _by_shape(text, match)
        if verdict is None:
            questions += 1
            verdict = questions > MOST_QUESTIONS or _by_metadata(match.group())
        if verdict:
            yield Span(match.start(), match.end(), "PHONE_NUMBER", "phone", 30)


def _by_shape(text: str, match: re.Match[str]) -> bool | None:  # noqa: PLR0911
    """True or False where the writing decides; None where only the metadata can."""
    found = match.group()
    core = _EXTENSION.sub("", found) if found[-7:].lower().strip("0123456789 ()-./\t") else found
    core = core.lstrip("(") if core.startswith("(00") else core
    digits = core.encode().translate(None, _NO_DIGITS).decode()
    if len(digits) > 15 and core[0] not in "+0":
        return False  # longer than any telephone number: a card, an identifier
    groups = _GROUP.findall(core)
    if not core.startswith("+") and (_DATE.match(core) or _CALCULATED.search(core) or core.startswith("0.")):
        return False
    if sum(len(group) == 1 for group in groups) > 2 or len(set(digits)) < 3:
        return False
    if core.startswith("+") or (core.startswith("00") and not core.startswith("000")):
        return _international(
            text, match, digits.removeprefix("00") if core.startswith("00") else digits, groups
        )
    if _NANP.match(core):
        return True
    if _context(text, match.start()):
        return 7 <= len(digits) <= 15
    if len(groups) == 1 and len(digits) == 10 and digits[3:6] == "555" and digits[0] not in "01":
        return _stands_free(text, match)  # the exchange of numbers in films and examples
    if len(groups) == 1:
        return (
            None
            if len(digits) in (10, 11)
            and (digits[0] != "1" or len(digits) == 11)
            and _stands_free(text, match)
            else False
        )
    if digits[0] == "0" and 9 <= len(digits) <= 12 and len(groups[0]) <= 6 and (core.count(".") in (0, 4)):
        return True
    return None if 9 <= len(digits) <= 12 and _stands_free(text, match) and len(groups) <= 5 else False


def _international(text: str, match: re.Match[str], digits: str, groups: list[str]) -> bool | None:
    if not 8 <= len(digits) <= 15 or not any(digits[:size] in COUNTRY_CODES for size in (1, 2, 3)):
        return False
    if digits[0] == "1" and len(digits) != 11:
        return False
    line_start = match.start() == 0 or text[match.start() - 1] == "\n"
    # A line that a diff adds begins with a plus and a bare number.
    return (
        None
        if line_start and len(groups) == 1 and "\n" in text and not _context(text, match.start())
        else True
    )


def _context(text: str, place: int) -> bool:
    return _CONTEXT.search(before(text, place, 40)) is not None


def _stands_free(text: str, match: re.Match[str]) -> bool:
    """Whether no sign around it says that it is an identifier, an amount or part of a calculation."""
    left = text[max(0, match.start() - 1) : match.start()]
    right = text[match.end() : match.end() + 1]
    return (not left or left not in "=_#:/$€£%*^-.@\"'") and (not right or right not in "%_=/*:")


_UUID = lazy(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")


def may_hold_phones(text: str) -> bool:
    """See ``Rule.may_hold``: whether a candidate outside of UUIDs has the shape of a number."""
    apart = text.replace('":', ":\n").replace('"', "\n").replace(",", "\n")
    for match in _CANDIDATE.finditer(apart):
        if not _in_uuid(apart, match) and _by_shape(apart, match) is not False:
            return True
    return False


def _in_uuid(text: str, match: re.Match[str]) -> bool:
    """Whether a candidate lies in a UUID, whose groups of digits look like those of a number."""
    start = match.start()
    if "-" not in (text[match.end() : match.end() + 1], text[start - 1 : start]):
        return False
    return any(
        found.start() <= start and match.end() <= found.end()
        for found in _UUID.finditer(text, max(0, start - 28), start + 36)
    )


def _by_metadata(found: str) -> bool:
    digits = "".join(character for character in _EXTENSION.sub("", found) if character.isdigit())
    return any(pattern.fullmatch(digits) for pattern in national_numbers())


RULES = (
    Rule(
        "phone",
        (
            r"\+ ?\(?[1-9][0-9 \t()\-./]{6}",
            r"[^0-9a-zA-Z_.\-]00[1-9][0-9 \t()\-./]{7}",
            r"[0-9]{3}[ .\-/)][ .\-/]?[0-9]{3}[ .\-][0-9]{4}[^0-9]",
            r"\([0-9]{2,4}\) ?[0-9]{3,5}[ .\-]?[0-9]{2,4}",
            r"[^0-9a-zA-Z_.\-]0[1-9]\.[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{2}[^0-9]",
            r"[^0-9a-zA-Z_.\-=#:/$%*^@,]1[3-9][0-9] [0-9]{4} [0-9]{4}[^0-9]",
            r"[^0-9a-zA-Z_.\-]\(?0[1-9][0-9 ()\-/]{6}",
            r"[^0-9a-zA-Z_.\-=#:/$%*^@](1?[2-9][0-9]{9}|[2-9][0-9]{10})[^0-9a-zA-Z_\-%=/*:]",
            # Nine digits at least, and no date with a time behind it: nearly every event has one.
            r"[^0-9a-zA-Z_.\-=#:/$%*^@,][2-9][0-9]{1,4}[ \-][0-9]{2,5}[ \-]([0-9]{3,5}|[0-9]{2}[ \-][0-9]{2,5}[^0-9:])",
            r"[^0-9a-zA-Z_.\-=#:/$%*^@,][2-9]([0-9]{3}[ \-][0-9]{3,5}|[0-9]{4}[ \-][0-9]{2,5}|[0-9]{1,2}[ \-][0-9]{4,5})[ \-][0-9]{2}[^0-9]",
            r"[^0-9a-zA-Z_.\-=#:/$%*^@,][2-9][0-9]{4}[ \-][0-9]{5}[^0-9]",
            r"(?i)(phone|tel[ :.ef]|mobile|cell|fax|whatsapp|sms|call|dial|text me|reach |contact|handy|m.vil|celular|portable|mero|rufnummer|hotline|ring me|[^a-z]ph[:.]|viber|signal|voicemail|(my|her|his|our|your|their) number|[^a-z]ring |[^a-z][tm]:)[^0-9\n,;{}]*[0-9][0-9 ()\-./\t]{6}",
        ),
        find_phones,
        may_hold_phones,
    ),
)
