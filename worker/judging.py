"""What judging, telling and mailing need besides the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from db import timers
from tower.court import Code
from tower.network import Network
from tower.rulebook import RuleBook


@dataclass(frozen=True)
class Judging:
    """The configuration in force, and where mails point to.

    base_url      address of the screens, for links in mails
    sender        address that mails come from
    quiet_before  facts effective before this instant open their cases silently; None tells all
    late_after    what is judged so much after it could be known is said to be found late; longer
                  where time itself jumps (a history that is played in steps)
    """

    network: Network
    rulebook: RuleBook
    base_url: str = "http://127.0.0.1:8501"
    sender: str = "tower@localhost"
    quiet_before: datetime | None = None
    late_after: timedelta = timedelta(minutes=15)


def timer_kind(code: Code, home: int, otherwise: str = timers.UNIT) -> str:
    """Which timer has this home judged."""
    return timers.PARTNER if home in code.network.partner_keys else otherwise
