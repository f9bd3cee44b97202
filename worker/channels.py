"""Rooms of a chat, told by webhook: of what mails tell, and in their stead while mail is away.

A message is a row of the outbox with its bytes frozen, like a mail: leased, sent at least once,
tried again. It tells of a mail and takes nothing from it: the mail is sent all the same.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from collectors.contract import secret
from collectors.outgoing import Outgoing, raise_for
from db import cases as kept
from db import outbox
from db.mail import GroupKey
from db.outbox import Leased, Outbound
from tower.cases import Case
from tower.categories import Severity
from tower.chat import ChatMessage, body_of
from tower.errors import AccessDenied, ConfigError, SourceThrottled, SourceUnavailable
from worker.judging import Judging
from worker.pauses import BREAKER, PROBE, pause
from worker.readers import reader_of

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=120)
TIMEOUT_S = 10.0
MOST_BYTES = 64 * 1024  # of an answer, which nobody reads
BATCH = 10
STALE = timedelta(hours=6)  # a message so old helps nobody any more


# --- what is told -------------------------------------------------------------------------------


def tell_too(
    conn: Connection,
    config: Judging,
    key: GroupKey,
    number: int,
    subject: str,
    dedup: str,
    cases: Sequence[Case],
    now: datetime,
) -> None:
    """Put what a mail says before the channels that its policy or its reader names."""
    reader = reader_of(config.network, key.recipient)
    policy = config.rulebook.notify.get(key.policy)
    if reader is None or reader.partner is not None:
        return  # what a partner is told is between them and us
    wanted = {policy.channel if policy is not None else None, reader.channel}
    for channel in sorted(name for name in wanted if name in config.network.channels):
        _put(conn, config, channel, key, number, subject, dedup, f"Mail to {reader.name}",
             cases, now)  # fmt: skip


def tell_instead(conn: Connection, config: Judging, now: datetime) -> int:
    """Tell the second channel of mails that wait while their server is away; how many."""
    channel = config.network.second_channel
    if channel is None or channel not in config.network.channels:
        return 0
    told = 0
    for mail in outbox.waiting_untold(conn, channel, BATCH):
        reader = reader_of(config.network, mail.key.recipient)
        if reader is None or reader.partner is not None:
            continue
        cases = kept.by_ids(conn, mail.cases)
        note = f"The mail server cannot be reached. Waiting for {reader.name}"
        told += _put(conn, config, channel, mail.key, mail.number, mail.subject, mail.dedup_key,
                     note, cases, now)  # fmt: skip
    return told


def _put(
    conn: Connection,
    config: Judging,
    channel: str,
    key: GroupKey,
    number: int,
    subject: str,
    dedup: str,
    note: str,
    cases: Sequence[Case],
    now: datetime,
) -> bool:
    base = config.base_url
    gravest = sorted(cases, key=lambda c: (-Severity(c.severity).rank, c.opened_at, c.id or 0))
    message = ChatMessage(
        title=subject,
        note=note,
        lines=[(f"{case.severity}: {case.title}", f"{base}/case?id={case.id}") for case in gravest],
        url=f"{base}/exceptions",
    )
    row = Outbound(
        key=key,
        address=channel,
        number=number,
        reason="channel",
        subject=subject,
        dedup_key=f"{dedup}/{channel}",
        message_id="",
        message=body_of(message, config.network.channels[channel].form),
        cases=tuple(case.id for case in cases if case.id is not None),
        before={},
        created_at=now,
        channel=channel,
    )
    return outbox.put_mail(conn, row) is not None


# --- sending ------------------------------------------------------------------------------------


def post_due(
    engine: Engine, config: Judging, now: datetime, secrets: Mapping[str, str] = os.environ
) -> int:
    """Post what is due to every channel; how many messages were taken."""
    with engine.begin() as conn:
        waiting = outbox.channels_waiting(conn, now)
    return sum(_post_all(engine, config, channel, now, secrets) for channel in waiting)


def _post_all(
    engine: Engine, config: Judging, channel: str, now: datetime, secrets: Mapping[str, str]
) -> int:
    """After five failures to connect in a row one message a minute is tried."""
    with engine.begin() as conn:
        last = outbox.last_outcomes(conn, BREAKER, channel)
        broken = len(last) == BREAKER and all(outcome == "unreachable" for outcome, _ in last)
        if broken and now - last[0][1] < PROBE:
            return 0
        messages = outbox.lease(conn, now, LEASE, 1 if broken else BATCH, channel)
    taken = 0
    for n, message in enumerate(messages):
        error = _post(config, channel, message, now, secrets)
        with engine.begin() as conn:
            _record(conn, message, error, now)
            if isinstance(error, SourceUnavailable | SourceThrottled):
                outbox.release(conn, messages[n + 1 :])
                return taken
        taken += error is None
    return taken


def _post(
    config: Judging, channel: str, message: Leased, now: datetime, secrets: Mapping[str, str]
) -> Exception | None:
    """What went wrong, None if the message was taken."""
    known = config.network.channels.get(channel)
    if known is None:
        return ConfigError("It is no longer described in network.yaml.")
    try:
        url = secret(known.url_variable, secrets, channel)
        calls = Outgoing(
            channel, url, timeout_s=TIMEOUT_S, max_bytes=MOST_BYTES, networks=known.networks
        )
        with calls.talking():
            raise_for(calls.post_json(url, message.message), channel, now)
    except (AccessDenied, ConfigError, SourceThrottled, SourceUnavailable) as error:
        return error
    return None


def _record(conn: Connection, message: Leased, error: Exception | None, now: datetime) -> None:
    if error is None:
        outbox.finish(conn, message, now, state="sent", outcome="accepted")
        return
    words = _said(error)
    log.warning("A channel was not told", extra={"action": "channel.failed", "cause": words})
    if now - message.created_at > STALE or isinstance(error, AccessDenied | ConfigError):
        outbox.finish(conn, message, now, state="failed", outcome="refused", words=words)
        return
    away = isinstance(error, SourceUnavailable)
    outbox.finish(
        conn, message, now, state="waiting", outcome="unreachable" if away else "retry",
        words=words, next_at=now + (timedelta(seconds=5) if away else pause(message.attempts)),
    )  # fmt: skip


def _said(error: Exception) -> str:
    """The error in words; the address of a webhook is a secret and never told."""
    words = str(error).replace('Source "', 'Channel "')
    return re.sub(r"https?://\S+", "its address", words)[:300]
