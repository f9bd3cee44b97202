"""What can be wrong with goods when they are received: the conditions, shared by who counts lines
and who lists them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Numeric, and_, case, cast, func, or_, select

from db.tables import document, partner

Kind = Literal["short", "over", "refused", "unannounced"]
KINDS: dict[Kind, str] = {
    "short": "less came than was announced",
    "over": "more came than was announced",
    "refused": "damaged or refused",
    "unannounced": "came without a notice",
}
"""What can be wrong with goods when they are received."""


def differences(conn: Connection) -> dict[Kind, ColumnElement[bool]]:
    """The condition of each kind. Who is asked for no notices cannot miss one."""
    d, p = document.c, partner.c
    quiet = conn.execute(
        select(p.partner_id).where(p.profile["sends_asn"].as_string() == "false")
    ).scalars()
    asked = or_(d.partner_id.is_(None), d.partner_id.not_in(list(quiet)))
    return {
        "short": func.coalesce(d.received_qty < d.shipped_qty, False),
        "over": func.coalesce(d.received_qty > d.shipped_qty, False),
        "refused": func.coalesce(d.rejected_qty > 0, False),
        "unannounced": and_(d.shipped_at.is_(None), asked),
    }


def kinds_told(conditions: Mapping[Kind, ColumnElement[bool]]) -> ColumnElement[str]:
    """The kinds of a line in words, "" where nothing is wrong."""
    return func.concat_ws(" ", *(case((which, kind)) for kind, which in conditions.items()))


def worth() -> ColumnElement[Decimal]:
    """What the difference and what was refused are worth at the order's price."""
    d = document.c
    gap = func.abs(func.coalesce(d.received_qty - d.shipped_qty, 0)) + func.coalesce(
        d.rejected_qty, 0
    )
    return cast(gap * d.price, Numeric(18, 2))
