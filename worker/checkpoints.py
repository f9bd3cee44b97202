"""Checkpoints of the audit on disk: one signed line an hour, beside the database, not in it."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine

from db import audit
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
        file.write(checkpoints.line(point, key) + "\n")
        file.flush()
        os.fsync(file.fileno())
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
