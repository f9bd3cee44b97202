"""What was known at an instant: documents from what had come in, clocks from what was judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from db.reads import known, stories
from db.tables import clock
from tests.worker.conftest import berlin
from tests.worker.test_judge import run, story
from tower.access import EVERYTHING
from tower.documents import Owners


def told(house: Any, number: str, at: str | None = None) -> Any:
    with house.engine.connect() as conn:
        found = stories.story(conn, EVERYTHING, f"po:main:{number}")
        if at is None or found is None:
            return found
        owners = Owners.of(house.network)
        return known.as_known_at(conn, EVERYTHING, found, berlin(at), owners)


def verdict(found: Any) -> list[tuple[str, bool]]:
    return [(c["verdict"], c["open"]) for c in found.clocks if c["rule"] == "po.unacknowledged"]


def test_what_came_later_is_left_out_of_document_clocks_and_cases(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.until("03-30 13:00")
    house.acknowledged("4711", "03-30 11:30", arrives="03-31 09:00")
    house.until("03-31 09:00")
    assert verdict(told(house, "4711")) == [("met", False)]
    assert told(house, "4711", "03-30 07:59") is None
    early = told(house, "4711", "03-30 08:30")
    assert (early.root["status"], verdict(early), early.cases) == (
        "released", [("pending", True)], (),
    )  # fmt: skip
    late = told(house, "4711", "03-30 13:00")
    assert (verdict(late), late.root["answer"]) == ([("breached", True)], "none")
    assert [event.type for event in late.events] == ["po.released"]
    assert late.cases[0]["resolved_at"] is None
    assert [line["line"] for line in late.family] == ["", "10"]
    after = told(house, "4711", "03-31 09:00")
    assert (verdict(after), after.root["answer"]) == ([("met", False)], "accepted")
    assert after.cases[0]["state"] == "resolved"


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_known_now_is_what_is_kept(make_house: Callable[..., Any], seed: int) -> None:
    house = make_house()
    story(house, seed)
    run(house, seed, 12)
    names = ("rule", "kind", "number", "line", "cycle", "verdict", "open", "paused", "started_at",
             "breached_at", "ended_at")  # fmt: skip
    compared = 0
    with house.engine.connect() as conn:
        numbers = set(conn.execute(select(clock.c.number).where(clock.c.kind == "po")).scalars())
        owners = Owners.of(house.network)
        for number in sorted(numbers):
            now = stories.story(conn, EVERYTHING, f"po:main:{number}")
            assert now is not None
            then = known.as_known_at(conn, EVERYTHING, now, berlin("06-30 00:00"), owners)
            assert then is not None
            kept = ("rev", "state")
            assert [{k: v for k, v in row.items() if k not in kept} for row in then.family] == [
                {k: v for k, v in row.items() if k not in kept} for row in now.family
            ]
            judged = [c for c in now.clocks if c["kind"] in ("po", "po_line")]
            found = [c for c in then.clocks if c["kind"] in ("po", "po_line")]
            assert sorted([tuple(str(c[n]) for n in names) for c in found]) == sorted(
                [tuple(str(c[n]) for n in names) for c in judged]
            )
            compared += len(judged)
    assert compared > 10
