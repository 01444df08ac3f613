"""Who may ask: a bearer token, or for a few open routes a plain caller on this machine."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.web.server import Request

from relaytw.admin.callers import Grant
from relaytw.admin.problems import Problem
from relaytw.errors import Unavailable

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class Guard:
    """Lets a request pass or raises the `Problem` to answer it with."""

    def __init__(self, token: str, grants: Callable[[str], Grant | None] = lambda _: None) -> None:
        if not token:
            raise ValueError("an empty token would let everybody in")
        self._token = token.encode()
        self._grants = grants

    def check(self, request: Request, *, open_here: bool) -> Grant | None:
        """Let through who has a token, and from this machine anybody where it is `open_here`.

        What the token is good for; None for the admin's, and for what needs none.
        """
        if open_here and _is_local(request):
            return None
        token = _shown(request)
        if token is not None and hmac.compare_digest(token, self._token):
            return None
        try:
            grant = self._grants(token.decode("ascii")) if token is not None else None
        except UnicodeDecodeError:
            grant = None
        except Unavailable as error:
            raise Problem(503, "database_away", str(error)) from error
        if grant is None:
            raise Problem(
                401,
                "unauthorized",
                "a bearer token is needed",
                {"WWW-Authenticate": 'Bearer realm="relaytw"'},
            )
        return grant


def _shown(request: Request) -> bytes | None:
    scheme, _, token = (request.requestHeaders.getRawHeaders(b"authorization") or [b""])[0].partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


def _is_local(request: Request) -> bool:
    if any(request.requestHeaders.hasHeader(name) for name in _FORWARDED):
        return False
    # A web page whose name was pointed at 127.0.0.1 makes a browser ask from here, but under its name.
    return _is_loopback(request.getClientAddress()) and _is_plain_host(request.getHeader("host"))


def _is_loopback(peer: IAddress) -> bool:
    if isinstance(peer, UNIXAddress):
        return True
    address = _address(getattr(peer, "host", ""))
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address.is_loopback


def _is_plain_host(host: str | None) -> bool:
    if host is None:
        return True
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower() == "localhost" or _address(name) is not None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None
