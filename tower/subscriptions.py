"""Subscriptions: who is told of what by webhook, and how long it is tried."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from urllib.parse import urlsplit

from tower.errors import TowerError
from tower.vocabulary import EVENT_TYPES

CASE_TYPES: Mapping[str, str] = {
    f"case.{kind}": kind
    for kind in (
        "opened", "reopened", "severity", "taken", "released", "waiting", "snoozed", "woken",
        "assigned", "moved", "escalated", "expired", "judged", "resolved",
    )
}  # fmt: skip
"""What happens to a case -> the note that tells of it. Notes that people write stay inside."""

PARTNER_TYPES = frozenset({"case.opened", "case.reopened", "case.severity", "case.resolved"})
"""What a partner hears of cases about itself; who works on them is our affair."""

TEST = "tower.test"
TYPES = (*EVENT_TYPES, *CASE_TYPES)

_S, _MIN, _H = (timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1))
RETRIES = (
    5 * _S, 5 * _MIN, 30 * _MIN, 2 * _H, 5 * _H, 10 * _H, 14 * _H, 20 * _H, 24 * _H,
)  # fmt: skip
"""Waits after each failed try, as Standard Webhooks advises; after the last one it is dead."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,79}")


class NotASubscription(TowerError):
    """A subscription that cannot be made as it was asked for, or that does not exist."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who is told of what. Times are aware UTC.

    types            "po.released", "po.*" or "*"
    partner          only what belongs to this partner; None = everything
    secret_variable  environment variable of the worker that holds the secret, never the secret
    networks         inner networks that its address may lead to
    problem          why nothing can be sent to it at the moment; "" = nothing known
    """

    id: int
    name: str
    url: str
    types: tuple[str, ...]
    partner: str | None
    secret_variable: str
    networks: tuple[str, ...]
    made_by: str
    made_at: datetime
    failures: int = 0
    not_before: datetime | None = None
    problem: str = ""

    def wants(self, type_: str, partner: str | None) -> bool:
        """Whether it is told of something of this type that belongs to this partner."""
        if self.partner is not None:
            if partner != self.partner:
                return False
            if type_.startswith("case.") and type_ not in PARTNER_TYPES:
                return False
        return any(fits(pattern, type_) for pattern in self.types)

    @property
    def hears_of_cases(self) -> bool:
        return any(fits(pattern, type_) for pattern in self.types for type_ in CASE_TYPES)


def fits(pattern: str, type_: str) -> bool:
    """Whether "po.*" means "po.released"."""
    if pattern.endswith("*"):
        return type_.startswith(pattern[:-1])
    return pattern == type_


def check(
    name: str, url: str, types: Sequence[str], secret_variable: str, networks: Sequence[str]
) -> None:
    """Raise NotASubscription unless these words make one."""
    if not _NAME.fullmatch(name):
        raise NotASubscription(
            f'The name "{name[:60]}" must begin with a letter and hold only a-z, 0-9, _ and -, '
            "40 at most."
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise NotASubscription("The address must be like https://hooks.example.com/tower.")
    for text in networks:
        try:
            ip_network(text)
        except ValueError:
            raise NotASubscription(
                f'--network "{text[:60]}" is no network; write one like 10.20.0.0/16.'
            ) from None
    if parts.scheme == "http" and not networks:
        raise NotASubscription(
            "Only https goes outside. An address inside may be http: name its network with "
            "--network."
        )
    if not _VARIABLE.fullmatch(secret_variable):
        raise NotASubscription(
            "--secret-variable is the name of an environment variable, like ERP_HOOK_SECRET. The "
            "secret itself is never kept here."
        )
    if not types:
        raise NotASubscription("Name at least one type: --type 'po.*', --type case.opened.")
    for pattern in types:
        if not any(fits(pattern, one) for one in TYPES):
            raise NotASubscription(
                f'No event is of the type "{pattern[:60]}". Types stand in docs/events.md, those '
                "of cases in docs/data-out.md."
            )


def next_try(attempts: int) -> timedelta | None:
    """The wait after so many failed tries; None = it is given up."""
    return RETRIES[attempts - 1] if attempts <= len(RETRIES) else None
