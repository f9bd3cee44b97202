"""People who sign in: their names, passwords, and how long a wrong one makes them wait. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tower.access import GRANTABLE, ROLES, Permission, Role, Scope, scope_of
from tower.errors import TowerError

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{0,78}[a-z0-9])?")
PASSWORD_AT_LEAST = 15
PASSWORD_AT_MOST = 200  # hashing is bounded by its memory, reading a form should be, too

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=10)
SEEN_EVERY = timedelta(minutes=1)  # how exactly it is known when a session was last used
AT_PROVIDER = timedelta(minutes=10)  # how long a visit at the identity provider may take

# Wrong passwords that cost no wait. An address may stand for a whole office behind one router.
FREE_BY_ACCOUNT = 5
FREE_BY_ADDRESS = 20
LONGEST_BY_ACCOUNT = timedelta(minutes=1)  # longer, and anybody could keep a colleague out
LONGEST_BY_ADDRESS = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(days=1)


class NotAnAccount(TowerError):
    """There is no such account, or it cannot be like this; the message says what would do."""


class WeakPassword(TowerError):
    """The password is not taken; the message says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person who may sign in.

    partners     keys of the partners they see, sorted; None means all
    grants       what their role may only do where it was granted to the person
    method       "password" or "oidc"
    disabled_at  None while they may sign in
    """

    id: int
    name: str
    full_name: str
    role: Role
    partners: tuple[str, ...] | None
    grants: tuple[Permission, ...]
    method: str
    made_by: str
    made_at: datetime
    changed_at: datetime
    disabled_at: datetime | None
    signed_in_at: datetime | None

    @property
    def scope(self) -> Scope:
        partners = None if self.partners is None else frozenset(self.partners)
        return scope_of(self.role, partners, frozenset(self.grants))


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody signed in. ``id`` is a number to name it by, never what opens it."""

    id: int
    account: str
    method: str
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    address: str
    browser: str


def checked_name(given: str) -> str:
    """The name as it is kept, in small letters. Raises NotAnAccount."""
    name = given.strip().lower()
    if not NAME.fullmatch(name):
        raise NotAnAccount(
            f'"{given.strip()[:80]}" cannot be a name to sign in with: 1 to 80 letters, digits and '
            ". _ - + @, beginning and ending with a letter or digit."
        )
    return name


def checked_rights(
    role: str, partners: Sequence[str] | None, grants: Sequence[str]
) -> tuple[Role, tuple[str, ...] | None, tuple[Permission, ...]]:
    """The rights in their kept form. Raises NotAnAccount where they contradict each other."""
    found = next((one for one in ROLES if one == role), None)
    if found is None:
        raise NotAnAccount(f'"{role}" is no role. Roles are {", ".join(ROLES)}.')
    mine = None if partners is None else tuple(sorted({p.strip() for p in partners if p.strip()}))
    if found == "partner" and not mine:
        raise NotAnAccount("An account of the role partner names its partners.")
    if partners is not None and not mine:
        raise NotAnAccount("Name at least one partner, or none at all for all of them.")
    if found == "admin" and mine is not None:
        raise NotAnAccount("An admin manages the whole tower: name no partners.")
    possible = GRANTABLE.get(found, frozenset())
    for grant in grants:
        if grant not in possible:
            allowed = ", ".join(sorted(possible)) or "nothing"
            raise NotAnAccount(f'"{grant}" cannot be granted to the role {found}: {allowed} can.')
    return found, mine, tuple(sorted(grant for grant in possible if grant in grants))


def pause(failures: int, free: int, longest: timedelta) -> timedelta:
    """How long nothing is looked at after so many failures: nothing, then 1, 2, 4, ... seconds."""
    if failures <= free:
        return timedelta()
    return min(timedelta(seconds=2 ** min(failures - free - 1, 20)), longest)


def local_path(given: str | None) -> str:
    """Where to go on after sign-in: a path on this host, else the front page.

    Browsers take ``//host``, ``/\\host`` and paths with tabs in them for other hosts.
    """
    if not given or len(given) > 2000 or not given.startswith("/"):
        return "/"
    if given.startswith("//") or "\\" in given or any(ord(c) < 33 or ord(c) == 127 for c in given):
        return "/"
    if given.partition("?")[0] in ("/signin", "/signout") or given.startswith("/oidc/"):
        return "/"
    return given
