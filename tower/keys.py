"""API keys: how one is written, what it may, from where and until when.

``tower_<id>_<secret>``: the id is public and finds the row, the secret has 256 bits. Only the
SHA-256 of the whole key is kept, which is enough for a text that nobody can guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv6Address, ip_address, ip_network

from tower.access import Role, Scope, scope_of
from tower.errors import TowerError

PUSH, READ = "push", "read"
SCOPES = (PUSH, READ)
MOST_ACTIVE = 2
"""Keys of one name that may be in force at once: the one in use and the one that follows it."""
LONGEST_DAYS = 366
ID_LENGTH = 10
_SHAPE = re.compile(r"tower_([a-z2-7]{10})_([A-Za-z0-9_-]{43})")
_LIKE_A_KEY = re.compile(r"tower_[a-z2-7]{10}_[A-Za-z0-9_-]{16,}")


class NotAKey(TowerError):
    """A key that cannot be made as it was asked for; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept; times are aware UTC.

    partner     the partner that it is bound to: it pushes and reads nothing of others; None = ours
    networks    addresses it may come from ("10.0.0.0/8"); none = from anywhere
    per_minute  requests, or pushed messages where a request holds several
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    partner: str | None
    networks: tuple[str, ...]
    per_minute: int
    made_by: str
    made_at: datetime
    ends_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    used_at: datetime | None = None

    def active(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.ends_at

    def state(self, now: datetime) -> str:
        """active, revoked or ended."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if now < self.ends_at else "ended"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who speaks at the machine door: the key, and the rows that it may see."""

    key: Key
    scope: Scope

    @property
    def name(self) -> str:
        """As audits name it: "key:acme-gateway"."""
        return f"key:{self.key.name}"

    @property
    def partner(self) -> str | None:
        return self.key.partner


def principal(key: Key) -> Principal:
    """What a key stands for. Values that are masked by default stay masked for machines."""
    role: Role = "read-only" if key.partner is None else "partner"
    partners = None if key.partner is None else frozenset({key.partner})
    return Principal(key, replace(scope_of(role, partners), reveals=frozenset()))


def written(key_id: str, secret: str) -> str:
    """The key as it is handed out, once."""
    return f"tower_{key_id}_{secret}"


def id_of(text: str) -> str | None:
    """The public part of a presented key; None if it is not written like one."""
    found = _SHAPE.fullmatch(text)
    return found[1] if found else None


def digest(text: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def same(kept: bytes, presented: str) -> bool:
    """Whether a presented key is the one kept; takes the same time however much of it fits."""
    return hmac.compare_digest(kept, digest(presented))


def shows_a_key(text: str) -> bool:
    """Whether a text holds something written like a key (an address that will be in logs)."""
    return _LIKE_A_KEY.search(text) is not None


def without_keys(text: str) -> str:
    """The text with the secrets of all keys in it hidden; their ids stay, to find them by."""
    return _LIKE_A_KEY.sub(lambda m: m[0][: len("tower_") + ID_LENGTH] + "_***", text)


def networks_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Networks in their normal form; NotAKey for what is none."""
    found = []
    for text in texts:
        try:
            found.append(str(ip_network(text.strip())))
        except ValueError as error:
            raise NotAKey(
                f'"{text}" is no network ({error}). Write one like 192.0.2.0/24 or 2001:db8::1.'
            ) from error
    return tuple(found)


def comes_from(address: str | None, networks: Iterable[str]) -> bool:
    """Whether an address lies in one of the networks; where none is named, all do."""
    allowed = [ip_network(one) for one in networks]
    if not allowed:
        return True
    try:
        there = ip_address(address or "")
    except ValueError:
        return False
    if isinstance(there, IPv6Address) and there.ipv4_mapped is not None:
        there = there.ipv4_mapped
    return any(there in one for one in allowed)
