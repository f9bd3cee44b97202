"""Subjects laid together come to what the database makes of each of them."""

from __future__ import annotations

from math import inf
from random import Random

import pytest
from sqlalchemy import Connection, text

from db.reads.piles import Pile, percentiles
from tower.kpi_catalogue import definition
from tower.kpis import HIT, MISS


@pytest.mark.parametrize("seed", range(12))
def test_quantiles_are_those_of_the_database(connection: Connection, seed: int) -> None:
    chance = Random(seed)
    told = [float(chance.randint(0, 30)) for _ in range(chance.randint(1, 60))]
    on = [chance.random() < seed / 20 for _ in told]
    pile = Pile()
    for value, still in zip(told, on, strict=True):
        pile.lay(MISS if still else HIT, 1, values={value: 1})
    found = pile.sums(definition("ack_cycle_clock"), frozenset({"amount"}), ())
    ranked = [inf if still else value for value, still in zip(told, on, strict=True)]
    rows = connection.execute(
        text(
            "SELECT s.share, percentile_cont(s.share) WITHIN GROUP (ORDER BY v.ranked), "
            "percentile_cont(s.share) WITHIN GROUP (ORDER BY v.told) "
            "FROM unnest(CAST(:ranked AS float8[]), CAST(:told AS float8[])) AS v (ranked, told), "
            "unnest(ARRAY[0.5, 0.9, 0.95]) AS s (share) GROUP BY s.share"
        ),
        {"ranked": ranked, "told": told},
    ).all()
    assert len(rows) == 3
    for share, high, low in rows:
        name = f"p{round(share * 100)}"
        if high == high:  # two that still go on have nothing between them
            assert found.quantiles[name] == pytest.approx(high)
        assert found.so_far[name] == pytest.approx(low)
    mean, deviation, largest = connection.execute(
        text("SELECT avg(v), stddev_samp(v), max(v) FROM unnest(CAST(:told AS float8[])) AS v"),
        {"told": told},
    ).one()
    assert found.quantiles["mean"] == pytest.approx(mean)
    assert found.quantiles["deviation"] == (None if deviation is None else pytest.approx(deviation))
    assert found.quantiles["largest"] == largest


def test_nothing_has_no_quantiles() -> None:
    assert percentiles([], [0.5]) == [None]
    assert percentiles([(3.0, 1)], [0.5, 0.9]) == [3.0, 3.0]


def test_what_was_laid_can_be_taken_back() -> None:
    pile, other = Pile(), Pile()
    pile.lay(HIT, 5, values={2.0: 5})
    pile.lay(MISS, 2, healed=True)
    other.lay(HIT, -1, values={2.0: -1})
    pile.add(other)
    found = pile.sums(definition("ack_on_time"), frozenset({"healed"}), ("unknown",))
    assert (found.hits, found.n, found.healed, found.outside) == (4, 6, 2, {"unknown": 0})
