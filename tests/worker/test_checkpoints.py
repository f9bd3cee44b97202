"""Signed checkpoints of the audit: a cut end, a chain made anew and a forged line all show."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, delete, select, text

from db import audit
from db.tables import audit_entry, outbox
from tower.checkpoints import read
from tower.errors import ConfigError
from tower.settings import Settings, load
from worker import checkpoints

AT = datetime(2026, 3, 27, 10, tzinfo=UTC)


def act(engine: Engine, *subjects: str) -> None:
    with engine.begin() as conn:
        for subject in subjects:
            audit.record(conn, "kim", "test.done", subject, {}, AT)


def problems(engine: Engine, settings: Settings) -> tuple[str, ...]:
    with engine.connect() as conn:
        assert audit.verify(conn).broken_at is None, "the chain alone shows nothing"
        return checkpoints.compare(conn, settings).problems


def test_a_cut_end_and_a_chain_made_anew_show(
    engine: Engine, owner_url: str, tmp_path: Path
) -> None:
    settings = load(home=tmp_path)
    assert checkpoints.keep(engine, settings, AT) is not None
    act(engine, "a", "b", "c")
    assert checkpoints.keep(engine, settings, AT + timedelta(minutes=59)) is None
    point = checkpoints.keep(engine, settings, AT + timedelta(hours=1))
    assert point is not None
    assert point.n == 3
    act(engine, "d")
    assert problems(engine, settings) == ()
    for name in (checkpoints.FILE, checkpoints.KEY):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0

    # No role of the program can do this; the owner of the tables can.
    owner = create_engine(owner_url)
    with owner.begin() as conn:
        conn.execute(delete(audit_entry).where(audit_entry.c.n >= 3))
    assert "cut off" in problems(engine, settings)[0]
    act(engine, "x", "y")
    assert "made anew" in problems(engine, settings)[0]
    owner.dispose()


def test_a_forged_line_and_an_open_key_are_told(engine: Engine, tmp_path: Path) -> None:
    settings = load(home=tmp_path)
    act(engine, "a")
    checkpoints.keep(engine, settings, AT)
    file = tmp_path / checkpoints.FILE
    line = file.read_text()
    file.write_text(line.replace('"n": 1', '"n": 0') + line + "nonsense\n")
    told = problems(engine, settings)
    assert ["line 1" in told[0], "line 3" in told[1], len(told)] == [True, True, 2]
    other = load(home=tmp_path, audit_key="another key of more than thirty-two signs")
    assert len(problems(engine, other)) == 3
    (tmp_path / checkpoints.KEY).chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        checkpoints.keep(engine, settings, AT)
    with engine.connect() as conn:
        assert conn.scalar(text("SELECT count(*) FROM audit_entry")) == 1


def test_one_checkpoint_a_day_goes_by_mail_and_is_enough_to_show_a_cut(
    engine: Engine, owner_url: str, tmp_path: Path
) -> None:
    settings = load(home=tmp_path, audit_mail="vault@elsewhere.example")
    act(engine, "a", "b", "c")
    for hours in (0, 1, 2, 24):
        assert checkpoints.keep(engine, settings, AT + timedelta(hours=hours)) is not None
    with engine.connect() as conn:
        rows = list(conn.execute(select(outbox).order_by(outbox.c.id)))
    assert [row.address for row in rows] == ["vault@elsewhere.example"] * 2
    message = email.message_from_bytes(rows[0].message, policy=email.policy.default)
    line = message.get_content().strip().splitlines()[-1]
    key = (tmp_path / checkpoints.KEY).read_bytes()
    assert read(line, key).n == 3

    # Who has the machine cuts file and log alike; the mail still shows it.
    owner = create_engine(owner_url)
    with owner.begin() as conn:
        conn.execute(delete(audit_entry).where(audit_entry.c.n >= 2))
    owner.dispose()
    (tmp_path / checkpoints.FILE).write_text("")
    assert problems(engine, settings) == ()
    (tmp_path / checkpoints.FILE).write_text(line + "\n")
    assert "cut off" in problems(engine, settings)[0]


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TOWER_AUDIT_MAIL"):
        load(home=tmp_path, audit_mail="a@b.example\nBcc: c@d.example")
