"""What a round of judging asks of the database: as much as is due, whatever else is open.

Statements and ways to the server are counted, not time: each costs a tenth of a millisecond and
more, so that a look-up per unit, or one that nobody needs, shows here before it shows on a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from tests.statements import Said, listening
from tests.worker.conftest import House, berlin
from tower.settings import Settings
from worker import run
from worker.judge import TickResult, tick

DUE = ("4800", "4801", "4802")
RELEASED = "03-30 08:00"
WARNED, MISSED = "03-30 11:30", "03-30 14:00"  # 75 % of four open hours, and an hour after them


def store(house: House, number: str, n: int, supplier: str) -> None:
    house.store(
        [
            (
                house.event(
                    "po.released",
                    {
                        "po": f"{number}{po:03}", "erp": "main", "supplier": supplier,
                        "lines": [{"line": "10", "qty": "1", "requested_date": "2026-06-30"}],
                    },
                    RELEASED,
                ),
                berlin(RELEASED),
            )
            for po in range(n)
        ]
    )  # fmt: skip


def round_of(house: House, now: datetime) -> tuple[Said, TickResult]:
    house.all_fresh(now)
    with listening() as said:
        result = tick(house.engine, house.config, now)
    return said, result


def asked_in_a_round(house: House, open_orders: int) -> tuple[int, int, int]:
    """(statements, rows read or written, units judged) of a round with three orders due."""
    store(house, "47", open_orders, "BOLT")
    for po in DUE:
        house.released(po, RELEASED)
    house.until("03-30 08:30")
    said, result = round_of(house, berlin(WARNED))
    return len(said.texts), said.rows, result.units


def test_a_round_asks_no_more_however_much_is_open(make_house: Callable[..., House]) -> None:
    few, many = (asked_in_a_round(make_house(), n) for n in (3, 120))
    assert few[2] == len(DUE)
    assert many == few


def test_a_round_with_nothing_due_asks_one_question(make_house: Callable[..., House]) -> None:
    house = make_house()
    store(house, "47", 3, "ACME")
    house.until("03-30 08:30")
    said, result = round_of(house, berlin("03-30 08:31"))
    assert (result.units, result.more) == (0, False)
    assert len(said.texts) <= 3  # what its transaction begins with, and the look at the queue


@pytest.mark.parametrize(
    ("until", "now", "statements", "trips"),
    [(RELEASED, WARNED, 16, 4), (WARNED, MISSED, 45, 13)],
    ids=["warnings", "breaches with cases"],
)
def test_a_round_asks_as_often_however_much_is_due(
    make_house: Callable[..., House], until: str, now: str, statements: int, trips: int
) -> None:
    asked = []
    for due in (12, 120):
        house = make_house()
        store(house, "47", due, "ACME")
        house.until(until)
        said, result = round_of(house, berlin(now))
        assert (result.units, result.transitions) == (due, due)
        asked.append((len(said.texts), said.trips))
    assert asked[0] == asked[1]
    assert asked[0][0] <= statements
    assert asked[0][1] <= trips


def test_an_event_that_opens_a_case_takes_few_ways_to_the_server(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    house.tell("po.rejected", {"po": "4711", "erp": "main", "supplier": "ACME"}, RELEASED)
    house.until(RELEASED)  # what is done once: sources are looked at
    house.tell("po.rejected", {"po": "4712", "erp": "main", "supplier": "ACME"}, "03-30 08:01")
    said, result = round_of(house, berlin("03-30 08:01"))
    assert (result.claimed, result.cases_opened) == ({"unit": 1, "partner": 1}, 1)
    began = [n for n, text in enumerate(said.texts) if "'timezone'" in text]
    assert began[1] <= 32  # the look at the queue and the order in one, then its partner
    assert said.trips <= 11


def test_a_worker_at_rest_looks_less_often(house: House) -> None:
    worker = run.Worker(house.engine, Settings(), clock=lambda: berlin(RELEASED))
    worker._judging = house.config
    assert not worker._judge()  # sources, once
    worker._busy_until = 0.0
    assert not worker._judge()
    assert worker._tick_s() == run.TICK_S
    house.released("4711", RELEASED)
    worker._judge()
    assert worker._tick_s() == run.BUSY_TICK_S
