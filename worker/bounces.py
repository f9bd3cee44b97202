"""What becomes of mails that came back: the address is left alone, the fallback is told."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from db import bounces as kept
from db.bounces import Undeliverable
from tower import bounces
from tower.bounces import Bounce
from worker.judging import Judging
from worker.mailer import tell_fallback

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Returned:
    """One recipient of a notification, and what was done.

    effect  fallback_told, logged (a delay, or a mere notice), known (told before), not_ours
    dead    nothing is sent to the address any more
    """

    address: str
    action: str
    status: str
    words: str
    effect: str
    dead: bool


def take(engine: Engine, config: Judging, raw: bytes, now: datetime) -> list[Returned]:
    """Act on a notification; the same one twice acts once. Raises tower.bounces.NotABounce."""
    found = bounces.read(raw)
    with engine.begin() as conn:
        return [_take(conn, config, bounce, now) for bounce in found]


def _take(conn: Connection, config: Judging, bounce: Bounce, now: datetime) -> Returned:
    # The group's timer and the case are touched below; the mail's row is locked first everywhere.
    known = kept.sent(conn, bounce.message_id)
    if known is None:
        return _returned(bounce, "not_ours")
    mail = known.mail
    words = f"{bounce.status} {bounce.words}".strip()
    if not bounce.is_lost:
        outcome = "delayed" if bounce.action == "delayed" else "bounced"
        kept.log(conn, mail.id, now, outcome, f"{bounce.action} {words}")
        return _returned(bounce, "logged")
    if known.state != "sent":
        return _returned(bounce, "known")
    kept.log(conn, mail.id, now, "bounced", words)
    kept.lost(conn, mail.id, f"came back: {words}")
    if bounce.is_dead:
        kept.mark(
            conn,
            Undeliverable(
                mail.address, mail.key.recipient, now, bounce.status, bounce.words, mail.id
            ),
        )
    tell_fallback(conn, config, mail, f"came back: {words}", now)
    log.error(
        "Mail came back",
        extra={"action": "mail.bounced", "outbox": mail.id, "status": bounce.status},
    )
    return _returned(bounce, "fallback_told", dead=bounce.is_dead)


def _returned(bounce: Bounce, effect: str, *, dead: bool = False) -> Returned:
    return Returned(bounce.address, bounce.action, bounce.status, bounce.words, effect, dead)
