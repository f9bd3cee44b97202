"""What a round of judging asks of the database: as much as is due, whatever else is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from tests.worker.conftest import House, berlin
from worker.judge import tick

DUE = ("4800", "4801", "4802")


def asked_in_a_round(house: House, open_orders: int) -> tuple[int, int, int]:
    """(statements, rows read or written, units judged) of a round with three orders due."""
    house.store(
        [
            (
                house.event(
                    "po.released",
                    {
                        "po": f"47{n:03}", "erp": "main", "supplier": "BOLT",
                        "lines": [{"line": "10", "qty": "1", "requested_date": "2026-06-30"}],
                    },
                    "03-30 08:00",
                ),
                berlin("03-30 08:00"),
            )
            for n in range(open_orders)
        ]
    )  # fmt: skip
    for po in DUE:
        house.released(po, "03-30 08:00")
    house.until("03-30 08:30")
    house.all_fresh(berlin("03-30 11:30"))
    said: list[int] = []

    def count(_conn: Any, cursor: Any, *_: Any) -> None:
        said.append(max(cursor.rowcount, 0))

    event.listen(house.engine, "after_cursor_execute", count)
    result = tick(house.engine, house.config, berlin("03-30 11:30"))  # three orders reach 75 %
    event.remove(house.engine, "after_cursor_execute", count)
    return len(said), sum(said), result.units


def test_a_round_asks_no_more_however_much_is_open(make_house: Callable[..., House]) -> None:
    few, many = (asked_in_a_round(make_house(), n) for n in (3, 120))
    assert few[2] == len(DUE)
    assert many == few
