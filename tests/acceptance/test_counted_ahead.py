"""Figures counted ahead are those of the documents, whatever came in which order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, select

from db import engine as engines
from db import rollups
from db.reads import counted_ahead, figures, fulfilment, kpis, scorecards
from db.reads.filters import Filter
from db.tables import checkpoint, figure_count, figure_line, figure_mark, figure_span, figure_week
from tests.acceptance.installation import Installation
from tests.acceptance.made_up_month import NETWORK, NOW, PERIOD, RULES, made_up
from tests.acceptance.running import Running
from tests.statements import listening
from tower.access import EVERYTHING
from tower.kpi_catalogue import definition
from tower.kpis import Figure

KEPT = 36  # weeks: two periods and the half year that orders take
NARROWED = (
    Filter(PERIOD),
    Filter(PERIOD, supplier="ACME"),
    Filter(PERIOD, buyer="ann"),
    Filter(PERIOD, warehouse="WEST"),
    Filter(PERIOD, category="TOOLS"),  # counted ahead is none: the documents tell
)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "KEPT_WEEKS", KEPT)


def _started(address: str, home: Path) -> tuple[Engine, Running]:
    installation = Installation.make(home, NETWORK, database_url=address)
    installation.rules.write_text(RULES)
    engine = engines.create(address)
    return engine, Running.start(engine, installation, NOW - timedelta(days=60))


def _push(tower: Running, events: list[dict[str, Any]]) -> None:
    body = json.dumps(events).encode()
    tower.push("facts", body, NOW, "application/cloudevents-batch+json")


def _told(seed: int) -> list[dict[str, Any]]:
    """The month out of order; some orders were released a week earlier than they say at first."""
    _, events = made_up(seed)
    released = [e for e in events if e["type"] == "po.released"][:9]
    for n, one in enumerate(released):
        at = datetime.fromisoformat(one["time"]) - timedelta(days=8)
        events.append({**one, "id": f"again-{n}", "time": at.isoformat()})
    Random(seed).shuffle(events)
    return events


def _table(conn: Connection) -> list[tuple[Any, ...]]:
    """What is counted; of orders that still wait the time of counting says how long."""
    f = figure_count.c
    columns = [column for column in f if column.name != "each"]
    rows = conn.execute(select(*columns, f.each).where(f.figure.not_like("ack_cycle%")))
    lines = conn.execute(select(figure_line))
    return sorted((tuple(row) for row in (*rows, *lines)), key=repr)


def _spans(conn: Connection) -> list[tuple[Any, ...]]:
    """What is added up, however its arrays are ordered."""
    f = figure_span.c
    found = []
    for row in conn.execute(select(figure_span).where(f.figure.not_like("ack_cycle%"))):
        arrays = (row.suppliers, row.parties, row.each, row.n, row.amount, row.weight)
        places = [one or [None] * len(row.n) for one in arrays]
        assert {len(one) for one in places} == {len(row.n)}
        alike = sorted(zip(*places, strict=True), key=repr)
        found.append((*row[:7], tuple(alike)))
    return sorted(found, key=repr)


def _asked(conn: Connection, kpi: str, narrowed: Filter) -> list[Figure]:
    asked = (conn, EVERYTHING, kpi)
    found = [figures.figure(*asked, narrowed, NOW)]
    for by in ("supplier", "warehouse", "category", "week"):
        if narrowed is NARROWED[0] and (by == "week" or by in definition(kpi).by):
            found += [t.figure for t in figures.figures_by(*asked, by, narrowed, NOW)]
    return found


def _plain(one: Figure) -> tuple[Any, ...]:
    return (one.n, one.numerator, one.value, one.previous, one.series, one.outside, one.parts,
            one.coverage, one.interval, one.over)  # fmt: skip


@pytest.mark.parametrize(
    "seed", [3, *(pytest.param(n, marks=pytest.mark.long) for n in range(4, 9))]
)
def test_counts_are_those_of_a_full_rebuild_after_any_order_of_arrival(
    kept: None, new_database: Callable[[], str], tmp_path: Path, seed: int
) -> None:
    engine, tower = _started(new_database(), tmp_path)
    events = _told(seed)
    for n in range(2):
        _push(tower, events[n::2])
        # Before clocks are judged and after: each leaves marks of its own.
        rollups.count_due(engine, NOW, least=0)
        tower.judge(NOW)
        rollups.count_due(engine, NOW, least=0)
    assert rollups.count_due(engine, NOW, least=0) == 0
    with engine.connect() as conn:
        kept_up, added_up = _table(conn), _spans(conn)
    with engine.begin() as conn:
        conn.execute(delete(figure_week))
        conn.execute(delete(figure_count))
        conn.execute(delete(figure_span))
    assert rollups.count_due(engine, NOW, least=0) == KEPT + 1
    with engine.connect() as conn:
        assert kept_up == _table(conn) != []
        assert added_up == _spans(conn) != []
        _equal_the_documents(conn)
    engine.dispose()


def _equal_the_documents(conn: Connection) -> None:
    kpis_told = (*counted_ahead.FIGURES, *counted_ahead.SAME_AS)
    places = [(kpi, narrowed) for kpi in kpis_told for narrowed in NARROWED]
    ahead = {place: _asked(conn, *place) for place in places}
    _told_together_as_alone(conn, kpis_told)
    beside = _beside(conn)
    used = conn.execute(delete(figure_span)).rowcount  # what is read from it is nothing now
    assert used
    assert all(not one.n for kpi in kpis_told for one in _asked(conn, kpi, NARROWED[0])[:1])
    conn.execute(delete(figure_week))
    for (kpi, narrowed), found in ahead.items():
        plain = _asked(conn, kpi, narrowed)
        assert [one.n for one in found] == [one.n for one in plain], kpi
        for one, other in zip(found, plain, strict=True):
            if kpi.startswith("ack_cycle"):
                assert (one.value is None) == (other.value is None), kpi
                assert (one.value or 0) == pytest.approx(other.value or 0, rel=0.02), kpi
            else:
                assert _plain(one) == _plain(other), kpi
    plain_beside = _beside(conn)
    assert beside == plain_beside
    assert beside["lines"].rows
    assert beside["lead times"]
    conn.rollback()


def _told_together_as_alone(conn: Connection, kpis_told: Sequence[str]) -> None:
    """Several figures at once, in one reading; some twice, some of documents alone."""
    asked: list[figures.Asked] = [(kpi, figures.NO_SWITCHES) for kpi in (*kpis_told, "mttr")]
    asked += [("supplier_score", {}), ("otif", {"per": "order"}), ("otif", {})]
    house = {"coverage", "mttr"}  # not told by supplier here
    by_supplier = [one for one in asked if one[0] not in house]
    for narrowed in NARROWED:
        readings = 0 if narrowed.category else 1
        with listening() as said:
            found = figures.several(conn, EVERYTHING, asked, narrowed, NOW)
        assert sum("figure_span" in text for text in said.texts) == readings
        alone = [figures.figure(conn, EVERYTHING, k, narrowed, NOW, w) for k, w in asked]
        assert found == alone
        same = (narrowed, NOW)
        told = figures.several_by(conn, EVERYTHING, by_supplier, "supplier", *same)
        assert told == [
            figures.figures_by(conn, EVERYTHING, k, "supplier", *same, w) for k, w in by_supplier
        ]


def _beside(conn: Connection) -> dict[Any, Any]:
    """What the same pages tell beside the figures of the catalogue."""
    asked, spec = (conn, EVERYTHING), scorecards.spec_in_force(conn)
    found: dict[Any, Any] = {
        "weeks": kpis.ack_by_week(*asked, Filter(PERIOD), NOW),
        "parts": fulfilment.perfect_parts(*asked, Filter(PERIOD), NOW),
        "lead times": scorecards.lead_time_drifts(*asked, Filter(PERIOD), spec),
        "lines": fulfilment.discrepancy_page(*asked, Filter(PERIOD)),
        "scores": scorecards.scorecards(*asked, Filter(PERIOD), NOW, trend=3),
    }
    for narrowed in NARROWED:
        found["differences", narrowed] = fulfilment.discrepancies(*asked, narrowed)
        first = fulfilment.discrepancy_page(*asked, narrowed, limit=3)
        rest = fulfilment.discrepancy_page(*asked, narrowed, after=first.following, limit=3)
        found["pages", narrowed] = first, rest
    return found


def test_a_figure_says_how_old_its_counts_are(
    kept: None, new_database: Callable[[], str], tmp_path: Path
) -> None:
    engine, tower = _started(new_database(), tmp_path)
    events = made_up(5)[1]
    _push(tower, events[:200])
    tower.judge(NOW)
    early = NOW - timedelta(minutes=20)
    assert rollups.count_due(engine, early, least=0)
    asked = (EVERYTHING, "otif", Filter(PERIOD), NOW)
    with engine.connect() as conn:
        current = figures.figure(conn, *asked)
        assert current.as_of == conn.execute(select(checkpoint.c.last_good_at)).scalar_one()
    _push(tower, events[200:])
    with engine.connect() as conn:
        old = figures.figure(conn, *asked)
        assert (old.n, old.as_of) == (current.n, early)
    rollups.count_due(engine, NOW, least=0)
    with engine.connect() as conn:
        new = figures.figure(conn, *asked)
    assert new.as_of is not None
    assert new.as_of > early
    assert new.n > old.n
    engine.dispose()


def test_a_small_installation_counts_nothing_ahead(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    engine, tower = _started(new_database(), tmp_path)
    _push(tower, made_up(6)[1][:50])
    assert rollups.count_due(engine, NOW) == 0
    with engine.connect() as conn:
        assert conn.execute(select(figure_mark.c.id)).all() == []
        assert conn.execute(select(figure_week.c.week)).all() == []
    engine.dispose()


def test_weeks_too_old_are_forgotten(
    kept: None, new_database: Callable[[], str], tmp_path: Path
) -> None:
    engine, tower = _started(new_database(), tmp_path)
    _push(tower, made_up(3)[1])
    tower.judge(NOW)
    rollups.count_due(engine, NOW, least=0)
    with engine.connect() as conn:
        before = len(_spans(conn))
    later = NOW + timedelta(weeks=KEPT - 2)  # of the weeks of the month, only the last are kept
    rollups.count_due(engine, later, least=0)
    with engine.begin() as conn:
        left = _table(conn), _spans(conn)
        conn.execute(delete(figure_week))
        conn.execute(delete(figure_count))
        conn.execute(delete(figure_line))
        conn.execute(delete(figure_span))
    rollups.count_due(engine, later, least=0)
    with engine.connect() as conn:
        assert left == (_table(conn), _spans(conn))
    assert 0 < len(left[1]) < before
    engine.dispose()
