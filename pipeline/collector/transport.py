"""httpx over aiohttp's transport, with the addresses that may be reached.

What belongs here: connections and the check of every resolved address, made where the connection is, so
that a name cannot change its address in between. What does not: attempts and answers (``client``). httpx,
aiohttp and their bridge are imported on first use.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from httpx_aiohttp import AiohttpTransport

CONNECT_SECONDS = 10.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenAddressError(OSError):
    """The address lies in a private network, or is link-local, or else not a public one."""


def is_loopback(host: str) -> bool:
    """True for localhost and for loopback addresses, whatever a name may resolve to."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(host: str, address: str) -> None:
    """Raises ``ForbiddenAddressError`` unless the address is public, or the host is loopback itself."""
    plain = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(plain, ipaddress.IPv6Address):
        inner = plain.ipv4_mapped or plain.sixtofour
        if inner is None and plain in _NAT64:
            inner = ipaddress.IPv4Address(int(plain) & 0xFFFFFFFF)
        plain = inner or plain
    if plain.is_loopback and is_loopback(host):
        return
    if not plain.is_global or plain.is_multicast:
        raise ForbiddenAddressError("the address is not a public one")


def check_url(url: str) -> None:
    """The same for an address written as a number, which nothing resolves."""
    host = urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return
    check_address(host, host)


def make_transport(*, allow_private: bool) -> AiohttpTransport:
    """A transport without limits of its own, cookies, proxies or redirects; make it inside a running loop."""
    import aiohttp
    import httpx
    from aiohttp.abc import ResolveResult
    from httpx_aiohttp import AiohttpTransport

    class Guarded(aiohttp.ThreadedResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
            found = await super().resolve(host, port, family)
            if not allow_private:
                for one in found:
                    check_address(host, one["host"])
            return found

    connector = aiohttp.TCPConnector(
        limit=0,
        resolver=Guarded(),
        ssl=httpx.create_ssl_context(),
        ttl_dns_cache=60,
        keepalive_timeout=30,
    )
    session = aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
    )
    return AiohttpTransport(client=session)


def is_forbidden(error: BaseException | None) -> bool:
    """True where a forbidden address stands behind a transport's error."""
    for _ in range(10):
        if error is None:
            return False
        if isinstance(error, ForbiddenAddressError):
            return True
        error = error.__cause__ or error.__context__
    return False
