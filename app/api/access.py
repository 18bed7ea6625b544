"""Who calls, and what they may do: `Authorization: Bearer ask_...`, or the page's cookie.

While no key exists, loopback clients alone are served, as a local principal with every right. Forwarding
headers never grant anything; in that mode they are refused: behind a proxy everybody looks like loopback.
"""

import ipaddress
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from app.api.config import ApiConfig
from app.keys import ALL_SCOPES, ApiKey, KeyStore, Scope
from data.errors import Forbidden, Overloaded, Unauthenticated
from data.records import Principal

COOKIE = "assay_session"
CSRF_HEADER = "x-requested-with"
CSRF_VALUE = "assay"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
FORWARDING_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip")
KEY_HELP = "Send the header 'Authorization: Bearer ask_...'. Keys are made with: assay keys create"


@dataclass(frozen=True)
class Caller:
    """The principal behind a request and its rights."""

    principal: Principal
    scopes: frozenset[Scope] = ALL_SCOPES

    def require(self, scope: Scope) -> None:
        """Raises: Forbidden."""
        if scope not in self.scopes:
            held = ", ".join(sorted(self.scopes)) or "none"
            raise Forbidden(
                f"This needs the scope '{scope}'; the key has: {held}.",
                next_step="Use a key that has the scope.",
            )


LOCAL = Caller(Principal())


class Gatekeeper:
    """Turns a request into a `Caller`, or refuses it."""

    def __init__(self, keys: KeyStore, config: ApiConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.keys = keys
        self._hosts = LOOPBACK_HOSTS | {host.lower() for host in config.allowed_hosts}
        self._rates = RateLimits(clock)

    def admit(self, request: Request) -> Caller:
        """Raises: Unauthenticated, Forbidden, Overloaded. Reads no database: see `KeyStore.is_stale`."""
        if not self.keys.any_exist():
            self._check_local(request)
            return LOCAL
        key = self.keys.verify(self._token(request))
        self._rates.take(key)
        return Caller(key.principal, key.scopes)

    def _token(self, request: Request) -> str:
        token = presented(request)
        if not token:
            raise Unauthenticated("There is no API key in the request.", next_step=KEY_HELP)
        if request.method not in SAFE_METHODS and not bearer(request):
            check_csrf(request)
        return token

    def _check_local(self, request: Request) -> None:
        headers = request.headers
        if not _is_loopback(request) or any(name in headers for name in FORWARDING_HEADERS):
            raise Unauthenticated("Without any API key only this machine itself is served.", next_step=KEY_HELP)
        host = _hostname(f"//{headers.get('host', '')}")
        if host not in self._hosts:
            raise Forbidden(
                f"The host name {host!r} is not served.",
                next_step="Use http://127.0.0.1, add the name to ASSAY_API__ALLOWED_HOSTS, or make a key.",
            )
        if request.method not in SAFE_METHODS and not _is_same_origin(request):
            raise Forbidden("Another web site sent this request.", next_step="Send it from this server's own page.")


class RateLimits:
    """A token bucket per key, in this process: a minute's worth at once, then an even rate."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: ApiKey) -> None:
        """Raises: Overloaded, saying when the next request may come."""
        now, per_second = self._clock(), key.rate_per_minute / 60
        with self._lock:
            tokens, at = self._buckets.get(key.id, (float(key.rate_per_minute), now))
            tokens = min(key.rate_per_minute, tokens + (now - at) * per_second)
            self._buckets[key.id] = (max(tokens - 1, 0) if tokens >= 1 else tokens, now)
        if tokens < 1:
            raise Overloaded(
                f"The key {key.id} may send {key.rate_per_minute} requests a minute, and has.",
                retry_after_s=max(1, math.ceil((1 - tokens) / per_second)),
                next_step="Wait as long as Retry-After says.",
            )


def check_csrf(request: Request) -> None:
    """Refuse what another site's page could have made the browser send. Raises: Forbidden."""
    if request.headers.get(CSRF_HEADER) != CSRF_VALUE:
        raise Forbidden(
            "A change by session cookie needs the header 'X-Requested-With: assay'.",
            next_step="Send the header, or use an Authorization header instead of the cookie.",
        )


def presented(request: Request) -> str:
    """The token that a request shows, in its header or else its cookie; it may be empty."""
    return bearer(request) or request.cookies.get(COOKIE, "")


def bearer(request: Request) -> str:
    """The token of the Authorization header, or an empty string."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _is_loopback(request: Request) -> bool:
    if request.client is None:  # a Unix socket, or no network at all
        return True
    try:
        return ipaddress.ip_address(request.client.host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _hostname(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _is_same_origin(request: Request) -> bool:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()


async def admitted(request: Request) -> Caller:
    """The caller of `request`; its tenant goes into every log line that follows."""
    request.state.caller = await request.app.state.service.admit(request)
    return request.state.caller


def _with(scope: Scope) -> Callable:
    async def holds(caller: Annotated[Caller, Depends(admitted)]) -> Principal:
        caller.require(scope)
        return caller.principal

    return holds


def _caller_with(scope: Scope) -> Callable:
    async def holds(caller: Annotated[Caller, Depends(admitted)]) -> Caller:
        caller.require(scope)
        return caller

    return holds


AnyCaller = Annotated[Caller, Depends(admitted)]
Reader = Annotated[Principal, Depends(_with(Scope.READ))]
Writer = Annotated[Principal, Depends(_with(Scope.WRITE))]
WriteCaller = Annotated[Caller, Depends(_caller_with(Scope.WRITE))]
Admin = Annotated[Principal, Depends(_with(Scope.ADMIN))]
Analyst = Annotated[Caller, Depends(_caller_with(Scope.ANALYST))]
