"""E-mail addresses, plain and written to be read by people only, and user names in home paths.

Sources: RFC 5321 (lengths), RFC 6531 (letters beyond ASCII). What does not belong here: phone numbers
(``phones``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.privacy.found import Rule, Span
from pipeline.privacy.lazily import lazy

_LOCAL_REVERSED = lazy(r"[\w.+'\-]{1,64}")
_DOMAIN = lazy(r"[^\W_][\w\-]{0,62}(?:\.[^\W_][\w\-]{0,62}){1,8}")
_ADDRESS_LITERAL = lazy(
    r"\[(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|IPv6:[0-9A-Fa-f:.]{3,45})\]"
)  # RFC 5321 section 4.1.3
_TOP = lazy(r"(?:xn--[a-z0-9\-]{2,59}|[^\W\d_]{2,24})", re.IGNORECASE)
_USERINFO = lazy(r"://[^\s/@]*\Z")
_REMOTE_PATH = lazy(r":[\w~./\-]+/")

# Endings that follow an @ in code and file names but are no top-level domain.
_NO_TOP = frozenset(
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "ico",
        "css",
        "scss",
        "html",
        "htm",
        "json",
        "js",
        "mjs",
        "jsx",
        "tsx",
        "txt",
        "yaml",
        "yml",
        "xml",
        "csv",
        "lock",
        "toml",
        "exe",
        "dll",
        "tar",
        "gz",
        "whl",
        "service",
        "socket",
        "timer",
        "target",
        "mount",
        "slice",
        "shape",
        "transpose",
        "dot",
        "sum",
        "mean",
        "reshape",
        "dtype",
        "weight",
    ]
)
_CODE = frozenset(["self", "cls", "np", "torch", "tf", "jnp", "scipy", "this"])


def find_emails(text: str, start: int, end: int) -> Iterator[Span]:
    """Every ``local@domain.top`` whose @ lies in the stretch."""
    at = text.find("@", start, end)
    while at >= 0:
        span = _email_around(text, at)
        if span is not None:
            yield span
        at = text.find("@", at + 1, end)


def _email_around(text: str, at: int) -> Span | None:  # noqa: PLR0911
    local = _LOCAL_REVERSED.match(text[max(0, at - 64) : at][::-1])
    if local is None:
        return None
    domain = _DOMAIN.match(text, at + 1, at + 254)
    if domain is None:
        literal = _ADDRESS_LITERAL.match(text, at + 1)
        begin = _trim_local(text, at - local.end(), at)
        return (
            None
            if literal is None or begin >= at
            else Span(begin, literal.end(), "EMAIL_ADDRESS", "email", 65)
        )
    begin, finish = at - local.end(), domain.end()
    begin = _trim_local(text, begin, at)
    labels = domain.group().split(".")
    top = _TOP.match(labels[-1])
    if begin >= at or top is None:
        return None
    finish -= len(labels[-1]) - top.end()
    if top.group().lower() in _NO_TOP or labels[0].lower() in _CODE:
        return None
    if _USERINFO.search(text[max(0, begin - 96) : begin]) and not text[max(0, begin - 7) : begin].endswith(
        "mailto:"
    ):
        return None
    if text[begin:at] == "git" or _REMOTE_PATH.match(text, finish):
        return None
    return Span(begin, finish, "EMAIL_ADDRESS", "email", 60)


def _trim_local(text: str, begin: int, at: int) -> int:
    quote = text.rfind("'", begin, at)
    if quote >= 0 and (quote - begin < 2 or text.find("'", at, at + 254) >= 0):
        begin = quote + 1
    while begin < at and text[begin] in ".'-+":
        begin += 1
    # An escaped line break or tab in front of the address, as in JSON held in a text.
    if begin and text[begin - 1] == "\\" and text[begin] in "nrt" and at - begin > 1:
        begin += 1
    return begin


_TLDS = (
    "com org net edu gov mil int info biz io dev app ai co me us uk de fr es it nl be ch at eu ca au nz jp cn in br mx"
    " se no dk fi pl pt ie ru cz gr hu ro za kr sg hk tv cc xyz online site tech cloud email example test invalid local"
)
_DOT = r"(?:\s{0,2}[\[({<]\s{0,2}(?:dot|\.|punkt|punto|point)\s{0,2}[\])}>]\s{0,2}|[\s_\-](?:dot|DOT)[\s_\-])"
_SPOKEN_DOMAIN = lazy(
    rf"\s{{0,2}}[a-z0-9][a-z0-9\-]{{0,62}}?(?:(?P<dot>{_DOT})|\.)(?:[a-z0-9][a-z0-9\-]{{0,62}}?(?:{_DOT}|\.)){{0,4}}(?P<top>[a-z]{{2,24}})(?!\w)",
    re.IGNORECASE,
)
_SPOKEN_LOCAL = lazy(
    rf"(?<![\w.+\-])[\w+\-]{{1,64}}(?:(?:\.|{_DOT})[\w+\-]{{1,64}}){{0,4}}\s{{0,2}}\Z", re.IGNORECASE
)
# Top-level domains that are English words too mean nothing where only bare words are written.
_TOPS = frozenset(_TLDS.split()) - frozenset(["it", "in", "me", "us", "be", "at", "no"])
_AT_MARK = lazy(r"[\[({<]\s{0,2}(?:at|@|arroba|ät)\s{0,2}[\])}>]|[\s_\-](?P<word>at)[\s_\-]", re.IGNORECASE)


def find_spoken_emails(text: str, start: int, end: int) -> Iterator[Span]:
    """``name [at] example [dot] com`` and its relatives; bare words only with both words present."""
    for mark in _AT_MARK.finditer(text, start, min(len(text), end + 8)):
        if mark.start() >= end:
            return
        domain = _SPOKEN_DOMAIN.match(text, mark.end(), mark.end() + 200)
        if domain is None or (mark["word"] and not (domain["dot"] and domain["top"].lower() in _TOPS)):
            continue
        low = max(0, mark.start() - 80)
        local = _SPOKEN_LOCAL.search(text[low : mark.start()])
        if local is not None:
            yield Span(low + local.start(), domain.end(), "EMAIL_ADDRESS", "email_spoken", 58)


_HOME = lazy(
    r"(?:(?:/export|/var|/usr|/mnt/[a-z])?/(?:home|Users)/+|[\\/]{1,4}(?:Users|Documents and Settings)[\\/]{1,4})"
    r"(?P<name>[\w][\w.\-@]{0,62})"
)
_BEFORE_HOME = frozenset(" \t\r\n\"'`=:(,[<>|;&{$\\~@*-/")
_GENERIC = frozenset(
    [
        "root",
        "user",
        "users",
        "username",
        "user_name",
        "your_name",
        "yourname",
        "youruser",
        "your_username",
        "yourusername",
        "your-username",
        "ubuntu",
        "runner",
        "admin",
        "administrator",
        "app",
        "appuser",
        "apps",
        "node",
        "vscode",
        "ec2-user",
        "jovyan",
        "shared",
        "public",
        "default",
        "all",
        "guest",
        "work",
        "worker",
        "workspace",
        "workspaces",
        "project",
        "projects",
        "code",
        "src",
        "source",
        "data",
        "dev",
        "developer",
        "test",
        "tests",
        "tester",
        "testuser",
        "travis",
        "circleci",
        "jenkins",
        "git",
        "gitlab-runner",
        "www",
        "www-data",
        "nobody",
        "coder",
        "codespace",
        "vagrant",
        "pi",
        "docker",
        "opc",
        "centos",
        "debian",
        "fedora",
        "ctf",
        "name",
        "me",
        "myuser",
        "my_user",
        "agent",
        "sandbox",
        "build",
        "builder",
        "service",
        "local",
        "bin",
        "lib",
        "etc",
        "tmp",
        "var",
        "opt",
        "share",
        "index",
        "about",
        "page",
        "dashboard",
        "login",
        "home",
        "main",
        "static",
        "assets",
        "settings",
        "profile",
        "config",
        "airflow",
        "dagster",
        "hadoop",
        "spark",
        "postgres",
        "mysql",
        "redis",
        "nginx",
        "deploy",
        "example",
        "someone",
        "somebody",
        "linuxbrew",
        "anaconda",
        "conda",
        "defaultuser0",
    ]
)


def find_home_paths(text: str, start: int, end: int) -> Iterator[Span]:
    """The user's name in ``/home/NAME``, ``/Users/NAME`` and ``C:\\Users\\NAME``; shared accounts are not names."""
    for match in _HOME.finditer(text, start, min(len(text), end + 96)):
        if match.start() >= end:
            return
        name = match["name"].rstrip(".-@")
        begin = match.start("name")
        before = text[match.start() - 1] if match.start() else " "
        if name.lower() in _GENERIC or not name or name.isdigit() or before not in _BEFORE_HOME:
            continue
        if "://" in text[max(0, match.start() - 200) : match.start()].rsplit(None, 1)[-1:].__str__() and (
            "file://" not in text[max(0, match.start() - 200) : match.start()]
        ):
            continue
        if match.group().startswith("/home/") and text[begin + len(name) : begin + len(name) + 1] in (
            ".",
            "?",
        ):
            continue
        yield Span(begin, begin + len(name), "USERNAME", "home_path", 40)


RULES = (
    Rule(
        "email",
        (r"(?i)[a-z0-9?_.+'\-]@[a-z0-9?][a-z0-9?_.\-]*\.[a-z?x]", r"[A-Za-z0-9?_]@\[([0-9]|IPv6:)"),
        find_emails,
    ),
    Rule(
        "email_spoken",
        (
            r"(?i)[\[({<]\s?\s?(at|@|arroba|\?t)\s?\s?[\])}>]\s?\s?[a-z0-9]",
            r"(?i)[a-z0-9?][\s_\-]at[\s_\-][a-z0-9][a-z0-9\-]*[\s_\-]{1,2}[\[({<]?dot[\s_\-\])}>]",
        ),
        find_spoken_emails,
    ),
    Rule(
        "home_path",
        (r"/(home|Users)/+[A-Za-z0-9_?]", r"[\\/](Users|Documents and Settings)[\\/]{1,4}[A-Za-z0-9_?]"),
        find_home_paths,
    ),
)
