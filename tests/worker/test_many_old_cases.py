"""A round reads the cases it is about, however many the house has had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from db import engine as engines
from db import timers
from db.tables import exception_case
from tests.worker.conftest import House, berlin
from worker.judge import tick

OLD = 20_000
FEW = OLD // 10
READ = text(
    "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_xact_user_tables "
    "WHERE relname = 'exception_case'"
)


def age(engine: Engine) -> None:
    """Give the house as many old cases as its first one, resolved, three of each cause."""
    names = [column.name for column in exception_case.c if column.name != "id"]
    values = {name: f'c."{name}"' for name in names} | {
        "fingerprint": "'old-' || n",
        "home_key": "n",
        "state": "'resolved'",
        "resolution": "'healed'",
        "resolved_at": "c.opened_at",
        "opened_at": "c.opened_at - n * interval '1 minute'",
        "shares": "'old-' || n / 3",
        "parent_id": "NULL",
    }
    columns = ", ".join(f'"{name}"' for name in names)
    chosen = ", ".join(values[name] for name in names)
    with engine.begin() as conn:
        conn.exec_driver_sql(
            f"INSERT INTO exception_case ({columns}) SELECT {chosen} "  # noqa: S608  # names of ours
            f"FROM exception_case c, generate_series(1, {OLD}) AS n "
            "WHERE c.id = (SELECT min(id) FROM exception_case)"
        )


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of cases that rounds read, told by the server before each is over; some are told again
    with the next."""
    found: list[int] = []
    commit = timers.commit

    def look(conn: Connection) -> Any:
        found.append(conn.scalar(READ) or 0)
        return commit(conn)

    monkeypatch.setattr(timers, "commit", look)
    return found


@pytest.fixture(params=[True, False], ids=["kept parsed", "parsed each time"])
def rounds(house: House, request: pytest.FixtureRequest) -> Iterator[Engine]:
    url = house.engine.url.render_as_string(hide_password=False)
    made = engines.create(url, prepared=request.param)
    yield made
    made.dispose()


def refused(house: House, po: str, at: str) -> None:
    house.tell("po.rejected", {"po": po, "erp": "main", "supplier": "ACME", "reason": at}, at)
    house.all_fresh(berlin(at))


@pytest.mark.parametrize("analysed", [False, True])
def test_a_case_is_found_among_many_old_ones(
    house: House,
    rounds: Engine,
    read: list[int],
    owner_url: str,
    analysed: bool,
) -> None:
    def again(po: Callable[[int], str], day: int) -> None:
        for n in range(7):  # more often than the server plans a statement anew
            at = f"03-{day} 08:{10 + n}"
            refused(house, po(n), at)
            tick(rounds, house.config, berlin(at))

    house.until("03-30 08:00")
    again(lambda n: f"47{n:02}", 30)  # plans are made while there is nothing
    age(house.engine)
    if analysed:
        owner = engines.create(owner_url)
        with owner.begin() as conn:
            conn.exec_driver_sql("ANALYZE exception_case")
        owner.dispose()
    read.clear()
    again(lambda n: "4700", 31)  # has a case, which hangs under that of its cause
    assert read
    assert max(read) < FEW
    read.clear()
    again(lambda n: f"48{n:02}", 31)  # each a new case of that cause
    assert max(read) < FEW
