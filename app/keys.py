"""API keys: `ask_<id>_<secret>`. Only the SHA-256 of the 256-bit random secret is stored.

Verification reads a copy in memory (`refresh` renews it), so that a request costs no query.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import insert, select, update

from data.database import Database
from data.errors import InvalidInput, NotFound, Unauthenticated
from data.records import Groups, Principal, Record
from data.tables import api_keys

PREFIX = "ask"
NO_DIGEST = "0" * 64
RECHECK_AFTER_S = 1.0
"""An unknown key has the keys read again when the copy is older: new keys work soon, guessing is cheap."""


class Scope(StrEnum):
    """`read` searches and asks, `write` adds and deletes documents, `admin` sees metrics, sets any group.

    `analyst` reads the dashboard, and with it what evaluations asked and were answered: it asks, adds and changes nothing.
    """

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    ANALYST = "analyst"


ALL_SCOPES = frozenset(Scope)


class ApiKey(Record):
    """A key without its secret."""

    id: str
    name: str
    tenant: str
    groups: Groups
    scopes: frozenset[Scope]
    rate_per_minute: int
    created_at: datetime
    expires_at: datetime | None = None
    revoked: bool = False

    @property
    def principal(self) -> Principal:
        return Principal(tenant=self.tenant, groups=self.groups, subject=f"key:{self.id}")


class KeyStore:
    """All keys of one database. Thread safe; `now` is replaceable for tests."""

    def __init__(
        self,
        database: Database,
        *,
        refresh_s: float = 5.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._refresh_s = refresh_s
        self._now = now
        self._known: dict[str, tuple[ApiKey, str]] = {}
        self._read_at = float("-inf")

    def create(
        self,
        name: str,
        *,
        tenant: str = "default",
        groups: Iterable[str] = (),
        scopes: Iterable[str] = (Scope.READ,),
        rate_per_minute: int = 600,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """Store a new key and return it with its token, which nobody can show again.

        Raises: InvalidInput for an unknown scope, a rate below 1, a past or naive expiry.
        """
        self._check(name, rate_per_minute, expires_at)
        secret = secrets.token_urlsafe(32)
        key = ApiKey(
            id=secrets.token_hex(8),
            name=name,
            tenant=tenant,
            groups=frozenset(groups),
            scopes=_scopes(scopes),
            rate_per_minute=rate_per_minute,
            created_at=self._now(),
            expires_at=expires_at,
        )
        row = key.model_dump() | {"groups": sorted(key.groups), "scopes": sorted(key.scopes)}
        with self._database.append() as connection:
            connection.execute(insert(api_keys).values(secret_sha256=_digest(secret), **row))
        self._read_at = float("-inf")
        return key, f"{PREFIX}_{key.id}_{secret}"

    def list(self) -> list[ApiKey]:
        """Every key, the newest first, revoked and expired ones too."""
        self.refresh()
        return sorted((key for key, _ in self._known.values()), key=lambda k: k.created_at, reverse=True)

    def revoke(self, identity: str) -> None:
        """Raises: NotFound."""
        with self._database.append() as connection:
            done = connection.execute(update(api_keys).where(api_keys.c.id == identity).values(revoked=True))
        if not done.rowcount:
            raise NotFound(f"There is no API key {identity!r}.", next_step="List them with: assay keys list")
        self._read_at = float("-inf")

    def refresh(self) -> None:
        """Read all keys into memory."""
        read_at = time.monotonic()
        with self._database.read() as connection:
            rows = connection.execute(select(api_keys)).mappings().all()
        self._known = {row["id"]: (_key(row), row["secret_sha256"]) for row in rows}
        self._read_at = read_at

    def is_stale(self, token: str) -> bool:
        """Whether `refresh` is due before `verify(token)` or `any_exist`."""
        age = time.monotonic() - self._read_at
        return age > self._refresh_s or (age > RECHECK_AFTER_S and bool(token) and _parts(token)[0] not in self._known)

    def any_exist(self) -> bool:
        """Whether a key was ever made. Revoked and expired ones count: taking keys away opens nothing."""
        return bool(self._known)

    def verify(self, token: str) -> ApiKey:
        """The key that `token` proves. Raises: Unauthenticated."""
        identity, secret = _parts(token)
        key, digest = self._known.get(identity, (None, NO_DIGEST))
        if not hmac.compare_digest(_digest(secret), digest) or key is None:
            raise Unauthenticated(
                "The API key is not valid.", next_step="Check it, or make a new one with: assay keys create"
            )
        if key.revoked:
            raise Unauthenticated(f"The API key {key.id} was revoked.", next_step="Ask for a new one.")
        if key.expires_at is not None and key.expires_at <= self._now():
            raise Unauthenticated(
                f"The API key {key.id} expired at {key.expires_at:%Y-%m-%d %H:%M} UTC.",
                next_step="Ask for a new one.",
            )
        return key

    def _check(self, name: str, rate_per_minute: int, expires_at: datetime | None) -> None:
        if not name.strip() or len(name) > 200:
            raise InvalidInput("A key needs a name of 1 to 200 characters.", field="name")
        if rate_per_minute < 1:
            raise InvalidInput(
                f"The rate limit is {rate_per_minute} requests a minute; the least is 1.",
                field="rate_per_minute",
            )
        if expires_at is not None and (expires_at.tzinfo is None or expires_at <= self._now()):
            raise InvalidInput(
                f"The expiry {expires_at} is in the past or has no time zone.",
                field="expires_at",
                next_step="Give a future time with a zone, as in 2030-01-31T00:00:00+00:00.",
            )


def _scopes(names: Iterable[str]) -> frozenset[Scope]:
    names = frozenset(names)
    if unknown := names - {scope.value for scope in Scope}:
        raise InvalidInput(
            f"Unknown scopes: {', '.join(sorted(unknown))}.",
            field="scopes",
            next_step=f"Choose from: {', '.join(Scope)}.",
        )
    return frozenset(Scope(name) for name in names)


def _key(row) -> ApiKey:
    values = {name: row[name] for name in ApiKey.model_fields}
    for name in ("created_at", "expires_at"):  # SQLite forgets the zone; everything is stored in UTC
        if values[name] is not None and values[name].tzinfo is None:
            values[name] = values[name].replace(tzinfo=UTC)
    return ApiKey(**values)


def _parts(token: str) -> tuple[str, str]:
    """Identity and secret; the identity is empty when `token` is no key of ours."""
    prefix, _, rest = token.partition("_")
    identity, _, secret = rest.partition("_")
    return (identity, secret) if prefix == PREFIX else ("", "")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
