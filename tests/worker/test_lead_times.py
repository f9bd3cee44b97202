"""A supplier whose goods take longer than planned: a case from the day that the median says so."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from db import configuration, lead_times
from db.tables import timer
from db.timers import LEAD_TIME
from tests.worker.conftest import BERLIN, House, berlin
from tower.event import Event
from tower.identity import partner_id
from tower.network import Network
from tower.receipts import receipt_text
from tower.rulebook import RuleBook
from worker.judging import Judging

RULE = "supplier.lead_time"
Told = list[tuple[Event, datetime]]


@pytest.fixture
def new_house(make_house: Callable[..., House], shipped_rules: RuleBook) -> Callable[[], House]:
    """Makes houses that have the shipped rule alone, so that only nights are rounds."""
    alone = tuple(rule for rule in shipped_rules.rules if rule.id == RULE)

    def make() -> House:
        house = make_house(shipped_rules.model_copy(update={"rules": alone}))
        use(house, agreed(house.network, 10))
        house.until("03-01 06:00")
        return house

    return make


@pytest.fixture
def house(new_house: Callable[[], House]) -> House:
    return new_house()


def agreed(network: Network, days: int | None) -> Network:
    """The network after so many days were agreed with ACME."""
    partner = network.partners["ACME"].model_copy(update={"lead_time_days": days})
    return network.model_copy(update={"partners": {**network.partners, "ACME": partner}})


def text_of(at: datetime) -> str:
    return at.astimezone(BERLIN).strftime("%m-%d %H:%M")


def order(house: House, number: int, day: str, took: int, asked: int = 10) -> Told:
    """An order sent on a day, wanted ``asked`` days later and received complete after ``took``."""
    sent = berlin(f"{day} 09:00")
    came = sent + timedelta(days=took)
    line = {"line": "10", "item": "I-0", "qty": "10"}
    wanted = (sent + timedelta(days=asked)).date().isoformat()
    released = house.event(
        "po.released",
        {
            "po": str(number), "erp": "main", "supplier": "ACME", "currency": "EUR",
            "lines": [line | {"price": "100", "requested_date": wanted}],
        },
        text_of(sent),
    )  # fmt: skip
    receipt = house.event(
        "receipt.posted",
        {
            "warehouse": "east", "receipt": f"R{number}", "supplier": "ACME",
            "lines": [line | {"receipt_line": "1", "erp": "main", "po": str(number)}],
        },
        text_of(came),
    )  # fmt: skip
    return [(released, sent), (receipt, came)]


def orders(house: House, days: Sequence[str], took: int, first: int, asked: int = 10) -> Told:
    return [
        told for n, day in enumerate(days) for told in order(house, first + n, day, took, asked)
    ]


MARCH = [f"03-{day:02d}" for day in range(2, 14)]  # twelve orders
APRIL = [f"04-{day:02d}" for day in range(1, 29)]


def drifts(house: House) -> list[tuple[str, str, str]]:
    return [(c.state, c.number, c.owner) for c in house.cases("LEAD_TIME_DRIFT")]


def lately(house: House) -> list[tuple[str, str]]:
    return house.journal(RULE)


def test_a_median_out_of_plan_opens_a_case_that_tells_the_arithmetic(house: House) -> None:
    house.store(orders(house, MARCH, took=13, first=1))
    house.live("04-01 12:00")
    assert drifts(house) == [("new", "ACME", "ben")]
    # The tenth order was completed on 24 March: the begin of the next day is the first to know.
    assert lately(house) == [("started", "03-25 00:01"), ("breach", "03-25 00:01")]
    [clock] = [c for c in house.clocks() if c.rule == RULE]
    said = receipt_text(clock.state["receipt"])
    assert said.startswith("not as planned since Wed 25 Mar 00:01; lead time 13 days")
    assert "(median of 10 orders); planned 10 days (agreed); tolerance 20%" in said
    assert [s for s in house.subjects() if "Lead time" in s or "lead time" in s]


def test_it_heals_when_the_median_is_back(house: House) -> None:
    house.store(orders(house, MARCH, took=13, first=1))
    house.live("03-31 12:00")
    house.store(orders(house, APRIL, took=10, first=100))
    house.live("05-20 12:00")
    assert [state for state, _, _ in drifts(house)] == ["resolved"]
    # With the thirteenth order in time the median is ten days.
    assert lately(house)[-1][0] == "end:late"
    assert drifts(house)[0][0] == "resolved"


def test_orders_that_are_too_old_no_longer_count(house: House) -> None:
    house.store(orders(house, MARCH, took=13, first=1))
    house.live("06-15 12:00")
    assert drifts(house)[0][0] == "new"
    # That of 17 March was completed ninety-one days before: nine are left.
    house.live("06-16 12:00")
    assert drifts(house)[0][0] == "resolved"


def test_an_agreed_lead_time_is_the_plan_and_a_new_one_ends_the_case(house: House) -> None:
    house.store(orders(house, MARCH, took=13, first=1))
    house.live("03-31 12:00")
    assert drifts(house)[0][0] == "new"
    use(house, agreed(house.network, 13))
    house.live("04-02 12:00")
    assert drifts(house)[0][0] == "resolved"


def use(house: House, network: Network) -> None:
    house.network = network
    house.config = Judging(network, house.rulebook)
    with house.engine.begin() as conn:
        configuration.store_partners(conn, network)


@pytest.mark.parametrize(("n", "took"), [(9, 30), (12, 12), (12, 8)])
def test_few_orders_and_small_differences_say_nothing(house: House, n: int, took: int) -> None:
    house.store(orders(house, MARCH[:n], took=took, first=1))
    house.live("05-30 12:00")
    assert drifts(house) == []
    with house.engine.connect() as conn:
        assert lead_times.readings(conn) == {}


def test_what_orders_ask_for_is_no_plan(house: House) -> None:
    use(house, agreed(house.network, None))
    house.store(orders(house, MARCH, took=30, first=1))
    house.live("05-01 12:00")
    assert drifts(house) == []


def test_order_of_arrival_and_repeats_change_nothing(new_house: Callable[[], House]) -> None:
    answers: list[Any] = []
    for seed in range(3):
        house = new_house()
        told = orders(house, MARCH, took=13, first=1)
        told += orders(house, [f"03-{day}" for day in range(14, 20)], took=10, first=50)
        rng = random.Random(seed)
        if seed:
            told += rng.sample(told, 12)
            rng.shuffle(told)
            at = 0
            while at < len(told):  # in batches of any size
                some = rng.randint(1, 7)
                house.store(told[at : at + some])
                at += some
        else:
            house.store(told)
        house.live("04-10 12:00")
        with house.engine.connect() as conn:
            read = lead_times.readings(conn, [partner_id("ACME")])
        answers.append((drifts(house), lately(house), read))
    assert answers[0][0]
    assert answers[1] == answers[0]
    assert answers[2] == answers[0]


def test_who_looks_late_says_what_is_true_then(house: House) -> None:
    """After days without a worker the day of the look counts, and each day once."""
    house.store(orders(house, MARCH, took=13, first=1))
    house.until("04-03 15:00")
    house.until("04-03 18:00")
    assert lately(house) == [("started", "04-03 00:01"), ("breach", "04-03 00:01")]


def test_without_the_rule_nobody_looks(house: House) -> None:
    house.store(orders(house, MARCH, took=13, first=1))
    house.live("03-31 12:00")
    house.use(house.rulebook.model_copy(update={"rules": ()}))
    house.live("04-02 12:00")
    assert lately(house)[-1][0] == "end:cancelled"
    assert house.rows(select(timer.c.key).where(timer.c.kind == LEAD_TIME)) == []
