"""Several cases at once: the exact set frozen and counted, whatever comes meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from db import audit, case_sets, cases
from db.tables import exception_case
from tests.app.conftest import Open
from tests.app.test_dead_letter_screens import press, said, write
from tests.desk import Desk
from tower.access import EVERYTHING, Scope, scope_of
from tower.case_sets import MOST, Deed, SetRefused
from tower.errors import AccessDenied

NOW = datetime.now(UTC)


def more(database: Engine, shop: Desk, case_id: int, number: str) -> int:
    """A further open case."""
    desk = Desk(now=shop.now)
    desk.case(number, opened=desk.at(hours=3), severity="high", id=case_id)
    with database.begin() as conn:
        desk.write(conn)
    return case_id


@pytest.fixture
def three(database: Engine, shop: Desk) -> list[int]:
    """The numbers of three open cases, of which the shop has one."""
    with database.connect() as conn:
        (first,) = conn.execute(select(exception_case.c.id)).scalars().all()
    return [first, more(database, shop, 101, "4500000001"), more(database, shop, 102, "4500000002")]


def test_what_is_frozen_is_acted_on_and_nothing_else(
    screens: Open, database: Engine, three: list[int], shop: Desk
) -> None:
    at = screens("exceptions", view="all")
    [button] = [b for b in at.button if b.label.startswith("Act on all")]
    assert button.label == f"Act on all {len(three)} that are shown …"
    press(at, button.label)
    assert f"**{len(three)} cases**, frozen as" in said(at)
    later = more(database, shop, 103, "4500000003")
    with database.begin() as conn:
        cases.resolve(conn, EVERYTHING, three[0], "lee", "repaired", "called", NOW)
    at = screens("exceptions", set="1")  # a reload finds the same set
    assert f"**{len(three)} cases**, frozen as" in said(at)
    write(at, "set count", str(len(three) + 1))
    press(at, f"Take: {len(three)} cases")
    assert f"The set has {len(three)} cases, not {len(three) + 1}" in at.error[0].value
    write(at, "set count", str(len(three)))
    press(at, f"Take: {len(three)} cases")
    assert f"done to {len(three) - 1} case" in said(at)
    with database.connect() as conn:
        states = {case.id: case.state for case in cases.by_ids(conn, [*three, later])}
        assert states == {three[0]: "resolved", **dict.fromkeys(three[1:], "taken"), later: "new"}
        told = [e.act.action for e in audit.entries(conn, subject="case_set:1")]
    assert told == ["cases.acted_on", "cases.frozen"]


def test_a_set_is_acted_on_once_and_by_whom_it_belongs_to(
    database: Engine, three: list[int]
) -> None:
    deed = Deed("snooze", until=NOW + timedelta(days=1))
    with database.begin() as conn:
        one = case_sets.freeze(conn, EVERYTHING, [*three, *three], "kim", "", NOW)
        assert len(one.cases) == len(three)
        told = {"count": len(three), "who": "kim", "now": NOW}
        with pytest.raises(SetRefused, match="not the cases"):
            case_sets.act(conn, EVERYTHING, one.id, deed, sha256="00", **told)  # type: ignore[arg-type]
        done = case_sets.act(conn, EVERYTHING, one.id, deed, sha256=one.sha256, **told)  # type: ignore[arg-type]
        again = case_sets.act(conn, EVERYTHING, one.id, deed, sha256=one.sha256, **told)  # type: ignore[arg-type]
        assert set(done.outcome.values()) == {"done"}
        assert again == done
        with pytest.raises(SetRefused, match="done already"):
            case_sets.act(conn, EVERYTHING, one.id, Deed("take"), sha256=one.sha256, **told)  # type: ignore[arg-type]
        with pytest.raises(SetRefused, match="in your area"):
            case_sets.freeze(conn, Scope(frozenset({"nobody"})), three, "eve", "", NOW)
        with pytest.raises(SetRefused, match="at most"):
            case_sets.freeze(conn, EVERYTHING, range(MOST + 1), "kim", "", NOW)
        reader = scope_of("read-only", None)
        with pytest.raises(AccessDenied):
            case_sets.freeze(conn, reader, three, "rita", "", NOW)


@pytest.mark.parametrize("deed", [Deed("resolve"), Deed("assign"), Deed("snooze"), Deed("sell")])
def test_what_is_missing_is_said_before_anything_is_done(deed: Deed) -> None:
    with pytest.raises(SetRefused):
        deed.check()
