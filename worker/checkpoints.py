"""Checkpoints of the audit: one signed line an hour on disk, beside the database, and one a day by
mail to where neither the database nor this machine has a hand on it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from sqlalchemy import Connection, Engine

from db import audit, outbox
from db.mail import GroupKey
from tower import checkpoints
from tower.checkpoints import Checkpoint
from tower.errors import ConfigError
from tower.settings import Settings

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
FILE, KEY = "audit-checkpoints.jsonl", "audit-checkpoints.key"


@dataclass(frozen=True, slots=True)
class Compared:
    """What the checkpoints say of the audit: how many there are, the newest, what does not fit."""

    file: str
    checkpoints: int
    newest_at: datetime | None
    problems: tuple[str, ...]


def keep(engine: Engine, settings: Settings, now: datetime) -> Checkpoint | None:
    """Write a checkpoint unless one of the last hour is there; what was written."""
    path = settings.home / FILE
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = _key(settings, make=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the workers of this machine share it
        last = file.read().rstrip("\n").rpartition("\n")[2]
        if last and key is not None:
            try:
                if now - checkpoints.read(last, key).at < EVERY:
                    return None
            except ValueError as error:
                log.error(
                    "The last checkpoint of the audit does not hold",
                    extra={"action": "audit.checkpoint_broken", "cause": str(error)},
                )
        with engine.connect() as conn:
            n, digest = audit.last(conn)
        point = Checkpoint(n, digest, now)
        if key is None:
            raise AssertionError("a key was made")
        signed = checkpoints.line(point, key)
        file.write(signed + "\n")
        file.flush()
        os.fsync(file.fileno())
    if settings.audit_mail is not None:
        _mail(engine, settings, settings.audit_mail, signed, point)
    log.info(
        "Audit checkpoint written",
        extra={"action": "audit.checkpoint", "n": n, "hash": digest.hex()},
    )
    return point


def compare(conn: Connection, settings: Settings) -> Compared:
    """Every checkpoint of this machine against the entries there are."""
    path = settings.home / FILE
    key = _key(settings, make=False)
    if not path.exists():
        return Compared(str(path), 0, None, ())
    if key is None:
        return Compared(str(path), 0, None, (f"The key of the checkpoints is missing: {path}.",))
    points, problems = [], []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            points.append(checkpoints.read(text, key))
        except ValueError as error:
            problems.append(f"Checkpoint in line {number}: {error}.")
    hashes = audit.hashes(conn, [point.n for point in points])
    problems += checkpoints.contradictions(points, audit.newest(conn), hashes)
    newest = max((point.at for point in points), default=None)
    return Compared(str(path), len(points), newest, tuple(problems))


def _mail(engine: Engine, settings: Settings, address: str, signed: str, point: Checkpoint) -> None:
    """Put the line into the outbox, the first one of each day (UTC), whichever worker wrote it."""
    day = f"{point.at.astimezone(UTC):%Y-%m-%d}"
    sender = settings.smtp_from
    message = EmailMessage(policy=SMTP)
    message_id = f"audit-{day}-{secrets.token_hex(8)}@{sender.rpartition('@')[2]}"
    message["From"], message["To"] = sender, address
    message["Subject"] = f"Tower: checkpoint of the audit, {day}"
    message["Date"] = format_datetime(point.at)
    message["Message-ID"] = f"<{message_id}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        f"The audit log had {point.n:,} entries. Keep this line where nobody of the tower's\n"
        "machine can change it: put beside the checkpoints of the machine it shows an end that "
        "was\ncut off, or a log that was written anew (tower audit verify).\n\n" + signed + "\n",
        cte="quoted-printable",
    )
    with engine.begin() as conn:
        outbox.put_mail(
            conn,
            outbox.Outbound(
                key=GroupKey("audit", "audit", "checkpoint"),
                address=address,
                number=1,
                reason=outbox.REPORT,
                subject=str(message["Subject"]),
                dedup_key=f"audit-checkpoint/{day}",
                message_id=message_id,
                message=message.as_bytes(),
                cases=(),
                before={},
                created_at=point.at,
            ),
        )


def _key(settings: Settings, *, make: bool) -> bytes | None:
    """The signing key: TOWER_AUDIT_KEY, else a file of the home that only its owner can read."""
    if settings.audit_key is not None:
        return settings.audit_key.get_secret_value().encode()
    path: Path = settings.home / KEY
    if make:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(checkpoints.KEY_BYTES))
    if not path.exists():
        return None
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"{path} can be read by others. Run: chmod 600 {path}")
    return path.read_bytes().strip()
