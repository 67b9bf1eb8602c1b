"""What a value looks like: a secret, a stand-in for one, or words and numbers of another kind.

What belongs here: judging one value by itself. What does not: where it stands and what names it
(``secrets``), and tokens whose prefix names the issuer (``providers``).
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter

from pipeline.privacy.lazily import lazy

FILLER = lazy(
    r"<.*|\$.*|%[\w]+%|\{.*|\[.*|\(.*|\.{2,}.*|\*{2,}.*|x{3,}.*|-{2,}.*|_{2,}.*|#{2,}.*|y+o+u+r+.*|my[_\-]?(?:secret|api|password|token|key|pass)?.{0,12}|enter.*|insert.*|replace.*|change[_\-]?me.*|example.*|sample.*|dummy.*|placeholder.*|redacted.*|todo.*|null|none|nil|true|false|undefined|"
    r"process\.env.*|os\.(?:environ|getenv).*|env\W.*|getenv.*|self\..*|this\..*|args\..*|config\..*|settings\..*|request\..*|req\..*|params.*|secrets?\..*|vault:.*|ref:.*|arn:.*|https?:.*|/.*|\\.*|@.*|&.*|\|.*|=.*|[\w.]+\(.*|[\w]+\[.*|[a-z_]+(?:\.[a-z_]+)+|test|string|str|text|hidden|required|optional",
    re.IGNORECASE | re.DOTALL,
)
WORDS = frozenset(
    [
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "secret",
        "token",
        "string",
        "text",
        "username",
        "required",
        "optional",
        "hidden",
        "incorrect",
        "invalid",
        "correct",
        "unknown",
        "encrypted",
        "hashed",
        "default",
        "empty",
        "missing",
        "example",
        "protected",
        "confirm",
        "confirmed",
        "credentials",
        "credential",
        "authentication",
        "authorization",
        "basic",
        "bearer",
        "value",
        "apikey",
        "api_key",
        "key",
        "pass",
        "pwd",
        "null",
        "none",
        "true",
        "false",
        "undefined",
        "object",
        "number",
        "boolean",
        "integer",
        "varchar",
        "password123",
        "mypassword",
        "yourpassword",
        "secretkey",
        "strongpassword",
        "securepassword",
        "newpassword",
        "oldpassword",
        "postgres",
        "root",
        "admin",
    ]
)


def is_filler(value: str) -> bool:
    """Whether a value is what documentation or code writes where a secret would stand."""
    if FILLER.fullmatch(value.strip()) or value.lower().strip("\"'") in WORDS:
        return True
    return (
        ("[" in value and "~" in value)
        or len(set(value)) < 3
        or "your" in value.lower()
        or "xxxx" in value.lower()
    )


def plausible(value: str, *, strong: bool, password: bool = False, quoted: bool = False) -> bool:  # noqa: PLR0911
    """Whether a value may be a secret; ``strong`` says that its name leaves no doubt."""
    if len(value) < (5 if password else 8) or is_filler(value):
        return False
    kinds = classes(value)
    if value.isdigit():
        return password and strong and len(value) >= 6
    if value.isalpha() and value.isascii():
        if password and quoted and len(value) >= 6:
            return value.lower() not in WORDS
        if password and strong and len(value) >= 8 and _case_changes(value) >= 4:
            return True  # capitals strewn about, as in no word and no name of code
        return len(value) >= 20 and kinds >= 2 and entropy(value) > 3.5
    if password:
        if _plain_words(value):
            return len(_SPLIT.split(value)) >= 4 and value.islower()  # words strung together
        return kinds >= 2 and (strong or any(c.isdigit() for c in value)) and not value.isalpha()
    if _plain_words(value) or not any(c.isdigit() for c in value):
        return False
    return entropy(value) >= 2.75 and (strong or len(value) >= 12) and not _VALUE_OTHER.fullmatch(value)


_VALUE_OTHER = lazy(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9\-:T.Z+/]+|v?[0-9]+(?:\.[0-9]+)+.*|[A-Za-z_]+[0-9]{0,3}|(?:sha|md)[0-9]+\W.*|(?-i:[a-z_.\-]+/[a-z0-9_.\-/]+)",
    re.IGNORECASE,
)
_SPLIT = lazy(r"[_\-.:/]+")


def _plain_words(value: str) -> bool:
    """``reset_password_form`` or ``Content-Type``: words joined by signs, as names in code are."""
    return all(part.isalpha() or not part for part in _SPLIT.split(value)) and not any(
        c in value for c in "!@#$%^&*+=?"
    )


def _case_changes(value: str) -> int:
    return sum(a.isupper() != b.isupper() for a, b in itertools.pairwise(value))


def classes(value: str) -> int:
    """How many of lower case, capitals, digits and signs occur."""
    return (
        any(c.islower() for c in value)
        + any(c.isupper() for c in value)
        + any(c.isdigit() for c in value)
        + any(not c.isalnum() for c in value)
    )


def entropy(value: str) -> float:
    """Shannon entropy of the characters, in bits a character."""
    length = len(value)
    return -sum(count / length * math.log2(count / length) for count in Counter(value).values())
