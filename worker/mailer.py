"""Sending what the outbox holds: leased, at least once, never twice at the same time.

A mail is leased, the lease is committed, the mail is sent, and it counts as sent only if the lease
is still ours. A worker that dies in between leaves a lease that ends; the repeat is byte-identical,
Message-ID and Date included, so that mail servers can drop it.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr

from sqlalchemy import Connection, Engine

from db import outbox, timers
from db.mail import DIGEST_GROUP, GroupKey, Member, add_members
from db.outbox import Leased
from db.records import as_json
from db.timers import Timer
from tower.errors import DeliveryFailed
from tower.settings import Settings
from worker import channels, internal
from worker.addressing import wait
from worker.code import code_for
from worker.judging import Judging
from worker.pauses import BREAKER, PROBE, pause

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=120)
SOCKET_S = 10.0  # per socket operation
ATTEMPTS = timedelta(seconds=60)  # no new mail is begun on a lease older than this
SLOW = timedelta(seconds=20)  # where connecting took longer, too little is left of the lease
BATCH = 20
STALE = timedelta(minutes=15)  # older mails are given up and rendered anew


def send_due(
    engine: Engine,
    settings: Settings,
    config: Judging,
    now: datetime,
    *,
    seconds: Callable[[], float] = time.monotonic,
) -> int:
    """Send what is due; how many mails were accepted. Without a mail server, mails wait.

    After five failures to connect in a row only one mail a minute is tried, until one gets through;
    meanwhile the second channel is told. ``seconds`` tells how time goes on after ``now``.
    """
    if settings.smtp_host is None:
        return 0
    clock = _Clock(now, seconds)
    with engine.begin() as conn:
        broken_since = _broken(conn)
        if broken_since is not None:
            channels.tell_instead(conn, config, now)
        if broken_since is not None and now - broken_since < PROBE:
            return 0
        if broken_since is None:
            _give_up_stale(conn, config, now)
        batch = _lease(conn, clock, BATCH if broken_since is None else 1)
    if not batch.mails:
        return 0
    try:
        server = _Server(settings)
    except (OSError, smtplib.SMTPException) as error:
        with engine.begin() as conn:
            _unreachable(conn, batch.mails[0], error, now)
            outbox.release(conn, batch.mails[1:])
        return 0
    with server:
        if broken_since is not None or clock.now() - batch.since > SLOW:
            # It answers again, or late: what waited meanwhile is told as it stands now.
            with engine.begin() as conn:
                outbox.release(conn, batch.mails)
                _give_up_stale(conn, config, clock.now())
                batch = _lease(conn, clock, BATCH)
        begun, accepted = clock.now(), 0
        while batch.mails:
            sent, goes_on = _send_all(engine, server, config, batch, clock)
            accepted += sent
            if not goes_on or clock.now() - begun > ATTEMPTS:
                break
            with engine.begin() as conn:
                batch = _lease(conn, clock, BATCH)
        return accepted


class _Clock:
    """The time, which goes on from the instant that a caller gave."""

    def __init__(self, given: datetime, seconds: Callable[[], float]) -> None:
        self._given = given
        self._seconds = seconds
        self._begun = seconds()

    def now(self) -> datetime:
        return self._given + timedelta(seconds=self._seconds() - self._begun)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Mails that are ours for the length of a lease ``since`` an instant."""

    mails: list[Leased]
    since: datetime


def _lease(conn: Connection, clock: _Clock, most: int) -> _Batch:
    """A lease begins when it is taken: one that began with an earlier batch would end, and another
    worker send the mail, while it is under way."""
    since = clock.now()
    return _Batch(outbox.lease(conn, since, LEASE, most), since)


def _broken(conn: Connection) -> datetime | None:
    """Time of the last try while no connection can be made; None while all is well."""
    last = outbox.last_outcomes(conn, BREAKER)
    if len(last) == BREAKER and all(outcome == "unreachable" for outcome, _ in last):
        return last[0][1]
    return None


def _send_all(
    engine: Engine, server: _Server, config: Judging, batch: _Batch, clock: _Clock
) -> tuple[int, bool]:
    """Send leased mails: how many were accepted, and whether the server goes on talking to us."""
    left, accepted, goes_on = list(batch.mails), 0, True
    while left and goes_on and clock.now() - batch.since < ATTEMPTS:
        mail = left.pop(0)
        outcome = server.send(mail)
        with engine.begin() as conn:
            accepted += _record(conn, config, mail, outcome, clock.now())
        goes_on = not outcome.unreachable
    if left:
        with engine.begin() as conn:
            outbox.release(conn, left)
    return accepted, goes_on and not left


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a server said to one mail."""

    error: DeliveryFailed | None = None
    code: int | None = None
    unreachable: bool = False


class _Server:
    """One conversation with the mail server, opened on entry to the block of mails."""

    def __init__(self, settings: Settings) -> None:
        self._sender = settings.smtp_from
        self._smtp = smtplib.SMTP(settings.smtp_host or "", settings.smtp_port, timeout=SOCKET_S)
        try:
            if settings.smtp_starttls:
                self._smtp.starttls(context=ssl.create_default_context())
            if settings.smtp_user is not None and settings.smtp_password is not None:
                self._smtp.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        except BaseException:
            self._smtp.close()
            raise

    def __enter__(self) -> _Server:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._smtp.quit()
        except (OSError, smtplib.SMTPException):
            self._smtp.close()

    def send(self, mail: Leased) -> _Outcome:
        try:
            self._smtp.sendmail(self._sender, [parseaddr(mail.address)[1]], mail.message)
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            return _refused(code, words)
        except smtplib.SMTPResponseException as error:
            return _refused(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            return _Outcome(DeliveryFailed(_said(error), permanent=False), None, True)
        return _Outcome()


def _refused(code: int, words: bytes | str) -> _Outcome:
    said = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    # 421: the server closes the conversation; it says nothing about this mail.
    return _Outcome(
        DeliveryFailed(f"{code} {said}", permanent=500 <= code < 600), code, code == 421
    )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _record(
    conn: Connection, config: Judging, mail: Leased, outcome: _Outcome, now: datetime
) -> bool:
    """Write down an attempt; True if the mail was accepted."""
    if outcome.error is None:
        outbox.finish(conn, mail, now, state="sent", outcome="accepted")
        return True
    if outcome.unreachable:
        _unreachable(conn, mail, outcome.error, now)
        return False
    words = str(outcome.error)
    if not outcome.error.permanent:
        outbox.finish(
            conn, mail, now, state="waiting", outcome="retry", code=outcome.code, words=words,
            next_at=now + pause(mail.attempts),
        )  # fmt: skip
        return False
    ours = outbox.finish(
        conn, mail, now, state="failed", outcome="refused", code=outcome.code, words=words
    )
    log.error(
        "Mail refused for good",
        extra={"action": "mail.refused", "outbox": mail.id, "code": outcome.code},
    )
    if ours:
        tell_fallback(conn, config, mail, words, now)
    return False


def _unreachable(conn: Connection, mail: Leased, error: Exception, now: datetime) -> None:
    """Nobody answered: not this mail's fault, so its own count of attempts stays."""
    log.warning(
        "Mail server not reached", extra={"action": "mail.unreachable", "cause": _said(error)}
    )
    outbox.finish(
        conn, mail, now, state="waiting", outcome="unreachable", words=_said(error),
        next_at=now + timedelta(seconds=5),
    )  # fmt: skip


def tell_fallback(
    conn: Connection, config: Judging, mail: Leased, words: str, now: datetime
) -> None:
    """The address is no good: its cases go to the fallback, and the operator hears of it."""
    policy = config.rulebook.notify.get(mail.key.policy)
    untold = outbox.taken_back(conn, mail, now)
    internal.mail_failed(conn, config, mail.key.recipient, mail.address, words, now)
    if policy is None or policy.fallback == mail.key.recipient:
        return
    members = [
        Member(GroupKey(m.key.policy, policy.fallback, m.key.group), m.case_id, "fallback", now)
        for m in untold
    ]
    wait(conn, config, code_for(conn.engine, config, now), members, {}, now)


def _give_up_stale(conn: Connection, config: Judging, now: datetime) -> None:
    """Mails that waited too long say what was true then: they are rendered anew."""
    ringing: set[Timer] = set()
    members: list[Member] = []
    for gone in outbox.supersede(conn, now - STALE, now):
        members.extend(gone.members)
        if gone.key.group == DIGEST_GROUP:
            key = as_json([gone.key.policy, gone.key.recipient])
            ringing.add(Timer(timers.DIGEST, key, now))
        else:
            ringing.add(Timer(timers.MAIL_GROUP, gone.key.timer_key, now))
    timers.sooner(conn, ringing)
    add_members(conn, members)
