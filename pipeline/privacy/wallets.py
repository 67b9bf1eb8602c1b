"""Addresses of crypto wallets, each confirmed by the checksum of its coin.

Sources: BIP 13, 173 and 350 (Bitcoin and relatives), EIP-55 (Ethereum), Ripple's and Monero's Base58. A Solana
address has no checksum, so it counts only beside a word that says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.privacy.checksums import RIPPLE58, base58_length, base58_payload, bech32, eip55, monero
from pipeline.privacy.found import Rule, Span, any_found, before
from pipeline.privacy.lazily import lazy

_B58 = "1-9A-HJ-NP-Za-km-z"
_BASE58 = lazy(rf"[13LMDXTrt](?<![0-9A-Za-z].)[{_B58}]{{24,43}}(?![0-9A-Za-z])", re.DOTALL)
_BECH32 = lazy(
    # First letters and endings of the prefixes in RULES; one put together otherwise fails its checksum.
    r"[btlascoik](?<![0-9A-Za-z].)(?:c|b|crt|tc|ltc|ddr|take|osmos|smo|nj|ei|ava|nb|erra|elestia)1[02-9ac-hj-np-z]{8,110}(?![0-9A-Za-z])",
    re.IGNORECASE | re.DOTALL,
)
_ETHEREUM = lazy(r"0x(?<![0-9A-Za-z]..)[0-9a-fA-F]{40}(?![0-9A-Za-z])", re.DOTALL)
_MONERO = lazy(rf"[48](?<![0-9A-Za-z].)[0-9AB][{_B58}]{{93}}(?![0-9A-Za-z])", re.DOTALL)
_COIN_WORDS = lazy(
    r"wallet|crypto|address|eth|bitcoin|btc|solana|\bsol\b|send|donat|deposit|withdraw|payout|token|contract|0x"
)


_MOST_HASHED = 2
"""How many addresses of one coin are hashed in one stretch, at 0.4 ms each; further ones count unhashed."""


def find_wallets(text: str, start: int, end: int) -> Iterator[Span]:
    """Wallet addresses that begin in the stretch."""
    stop = min(len(text), end + 128)
    for place, match in enumerate(_ETHEREUM.finditer(text, start, stop)):
        if match.start() < end and (
            place >= _MOST_HASHED or _COIN_WORDS.search(before(text, match.start())) or eip55(match.group())
        ):
            yield _wallet(match, "ethereum")
    for match in _BECH32.finditer(text, start, stop):
        if match.start() < end and bech32(match.group()):
            yield _wallet(match, "bech32")
    for place, match in enumerate(_MONERO.finditer(text, start, stop)):
        if match.start() < end and (place >= _MOST_HASHED or monero(match.group())):
            yield _wallet(match, "monero")
    for match in _BASE58.finditer(text, start, stop):
        if match.start() < end:
            yield from _base58(text, match)


def _base58(text: str, match: re.Match[str]) -> Iterator[Span]:
    found = match.group()
    if not any(character.isdigit() for character in found) or found.islower() or found.isupper():
        return
    payload = base58_payload(found, RIPPLE58) if found[0] == "r" else base58_payload(found)
    if payload is not None and len(payload) in (21, 22):
        yield _wallet(match, "base58")
    elif (
        len(found) >= 32
        and re.search(r"solana|\bsol\b", before(text, match.start()))
        and base58_length(found) == 32
    ):
        yield _wallet(match, "solana")


_SOLANA = lazy(rf"(?<![0-9A-Za-z])[{_B58}]{{32,44}}(?![0-9A-Za-z])")


def find_solana(text: str, start: int, end: int) -> Iterator[Span]:
    """Solana addresses beside a word that says so."""
    for match in _SOLANA.finditer(text, start, min(len(text), end + 48)):
        if (
            match.start() < end
            and re.search(r"solana|\bsol\b", before(text, match.start()))
            and base58_length(match.group()) == 32
        ):
            yield _wallet(match, "solana")


def _wallet(match: re.Match[str], coin: str) -> Span:
    return Span(match.start(), match.end(), "CRYPTO", f"wallet_{coin}", 68)


RULES = (
    Rule(
        "wallet",
        (
            # A capital early on: hashes have none, and addresses hardly ever lack one.
            rf"[^0-9A-Za-z][1348LDXMTr][1-9a-km-z]*[A-HJ-NP-Z][{_B58}]{{20}}",
            r"(?i)[^0-9a-z](bc|tb|bcrt|ltc|tltc|addr|stake|cosmos|osmo|inj|sei|kava|bnb|terra|celestia)1[02-9ac-hj-np-z]{8}",
            r"0x[0-9a-fA-F]{32}",
        ),
        find_wallets,
        any_found(find_wallets),
    ),
    Rule("solana", (rf"(?i)(solana|[^a-z]sol[^a-z])[^\n,;{{}}]*[^0-9a-z][{_B58}]{{32}}",), find_solana),
)
