"""What a viewer may see and do. Every read function takes a scope; nothing is read without one.

A person has one role and a scope. Whether they may do something is a question to the matrix below;
what is not in it is refused. Commands of the machine's operator, and the tower's own work, carry no
role: whoever runs them can read the database anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tower.errors import AccessDenied
from tower.identity import partner_id
from tower.masking import ALL, PRICE

Role = Literal["leader", "support", "admin", "partner", "read-only"]
ROLES: tuple[Role, ...] = get_args(Role)

Permission = Literal[
    "kpis.read",  # key figures, scorecards
    "flows.read",  # flows, documents, clocks, cases
    "house.read",  # the inner side: feeds, hops, queues, dead letters, replays, other parties
    "customers.read",  # customer orders, pegs, value at risk
    "payload.read",  # bytes as received, masked
    "payload.reveal",  # one masked value, for a reason, audited
    "case.note",
    "case.decide",  # assign, decide, close, merge, split
    "po.answer",  # an answer to a purchase order, by hand or in the portal
    "portal.see",  # the page of a partner
    "flow.tie",  # tie what is unmatched
    "replay.ask",
    "replay.act",  # ask for a retransmit, a force or an edited payload: granted one by one
    "replay.approve",  # of another person
    "data.export",
    "house.configure",  # rules, partners, silences, retention, held mail
    "people.manage",  # people, roles, keys, sessions
    "audit.read",
]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)

_LOOK: frozenset[Permission] = frozenset(
    {"kpis.read", "flows.read", "house.read", "customers.read", "data.export"}
)
MATRIX: dict[Role, frozenset[Permission]] = {
    "leader": _LOOK | {"case.note", "case.decide", "po.answer"},
    "support": _LOOK
    | {
        "payload.read",
        "payload.reveal",
        "case.note",
        "case.decide",
        "po.answer",
        "flow.tie",
        "replay.ask",
        "replay.approve",
    },
    "admin": frozenset(
        {
            "kpis.read",
            "flows.read",
            "house.read",
            "replay.approve",
            "data.export",
            "house.configure",
            "people.manage",
            "audit.read",
        }
    ),
    "partner": frozenset(
        {
            "kpis.read",
            "flows.read",
            "payload.read",
            "case.note",
            "po.answer",
            "portal.see",
            "data.export",
        }
    ),
    "read-only": _LOOK,
}
GRANTABLE: dict[Role, frozenset[Permission]] = {"support": frozenset({"replay.act"})}
"""What a role may do only where it was granted to this person."""

REVEALS: dict[Role, frozenset[str]] = {
    "leader": frozenset({PRICE}),
    "support": frozenset(),
    "admin": frozenset(),
    "partner": frozenset(),
    "read-only": frozenset({PRICE}),
}
"""Classes of values (tower/masking.py) that are shown. Who reads bytes sees them masked, prices
too, and reveals one value for a reason; leaders and readers see no bytes, but an order's worth.
"""

DatabaseRole = Literal["service", "staff", "partner"]


def may(role: Role, permission: Permission, grants: frozenset[Permission] = frozenset()) -> bool:
    """Whether a person of this role, to whom ``grants`` were granted, may do this."""
    if permission in MATRIX.get(role, frozenset()):
        return True
    return permission in grants and permission in GRANTABLE.get(role, frozenset())


@dataclass(frozen=True, slots=True)
class Scope:
    """Partners whose rows may be read; ``partners`` None means all of them.

    Rows without a partner (our own sources, customer orders) belong to viewers of all partners.
    ``reveals``: classes of values (tower/masking.py) that are shown; all others are masked before
    anything is searched, compared or exported. ``role`` None is the operator of the machine.
    """

    partners: frozenset[str] | None = None
    reveals: frozenset[str] = ALL
    role: Role | None = None
    grants: frozenset[Permission] = frozenset()

    @property
    def sees_all(self) -> bool:
        return self.partners is None

    @property
    def sees_customers(self) -> bool:
        """Whether customer orders, pegs and value at risk are shown."""
        return self.sees_all and self.may("customers.read")

    @property
    def sees_value_at_risk(self) -> bool:
        """Whether it is told how many customer orders a case hits, and what they are worth: sums
        that name no customer, so who sees some partners sees them of the cases of these."""
        return self.may("customers.read")

    @property
    def partner_ids(self) -> list[int] | None:
        """Partner numbers for SQL, sorted; None for no restriction."""
        return None if self.partners is None else sorted(partner_id(p) for p in self.partners)

    @property
    def database_role(self) -> DatabaseRole:
        """As whom the database is asked; only the operator with no restriction is the service."""
        if self.role == "partner":
            return "partner"
        return "service" if self.role is None and self.partners is None else "staff"

    def may(self, permission: Permission) -> bool:
        """Whether this viewer may do this."""
        return self.role is None or may(self.role, permission, self.grants)

    def demand(self, permission: Permission) -> None:
        """Raise AccessDenied unless this viewer may do this."""
        if not self.may(permission):
            raise AccessDenied(
                f"Your role ({self.role}) does not include this ({permission}). An administrator "
                "of the tower can change roles; nothing was changed."
            )


EVERYTHING = Scope()


def scope_of(
    role: Role,
    partners: frozenset[str] | None,
    grants: frozenset[Permission] = frozenset(),
) -> Scope:
    """The scope of a person. A partner without partners sees nothing, never everything."""
    if role == "partner" and partners is None:
        partners = frozenset()
    return Scope(partners=partners, reveals=REVEALS[role], role=role, grants=grants)
