"""Order of arrival, repetition, delay and the cut of batches change nothing that is kept."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from db.ingest import store
from db.rebuild import rebuild, verify
from tests.db.stories import NET, again, at, month, snapshot
from tower.raw import Interpreted

LATER = at(2000)
QUICK = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def kept(
    engine: Engine, batches: Sequence[Sequence[Interpreted]], *, without_receipts: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """What is kept after these batches; the database is left as it was."""
    with engine.connect() as conn:
        transaction = conn.begin()
        try:
            for batch in batches:
                store(conn, batch, net=NET, now=LATER)
            assert verify(conn) == []
            return snapshot(conn, without_receipts=without_receipts)
        finally:
            transaction.rollback()


def cut(items: Sequence[Interpreted], sizes: Sequence[int]) -> Iterator[list[Interpreted]]:
    """The items in batches of these sizes, over and over."""
    start = n = 0
    while start < len(items):
        size = sizes[n % len(sizes)]
        yield list(items[start : start + size])
        start, n = start + size, n + 1


stories = st.builds(month, st.integers(0, 10_000), st.integers(1, 6))


@QUICK
@given(
    items=stories,
    mix=st.integers(0, 1_000_000),
    repeats=st.floats(0, 0.5),
    sizes=st.lists(st.sampled_from((1, 2, 3, 7, 20, 200)), min_size=1, max_size=4),
)
def test_shuffled_repeated_and_cut_input_gives_the_same(
    engine_of_run: Engine,
    items: list[Interpreted],
    mix: int,
    repeats: float,
    sizes: list[int],
) -> None:
    chance = random.Random(mix)
    mixed = items + [again(item) for item in items if chance.random() < repeats]
    chance.shuffle(mixed)
    assert kept(engine_of_run, list(cut(mixed, sizes))) == kept(engine_of_run, [items])


@QUICK
@given(items=stories, mix=st.integers(0, 1_000_000))
def test_delayed_messages_end_in_the_same_documents(
    engine_of_run: Engine, items: list[Interpreted], mix: int
) -> None:
    chance = random.Random(mix)
    late = [
        Interpreted(
            replace(
                item.raw,
                received_at=item.raw.received_at + timedelta(hours=chance.choice((0, 5, 700))),
            ),
            item.reading,
        )
        for item in items
    ]
    late.sort(key=lambda item: item.raw.received_at)
    assert kept(engine_of_run, list(cut(late, (9,))), without_receipts=True) == kept(
        engine_of_run, [items], without_receipts=True
    )


@QUICK
@given(items=stories, sizes=st.lists(st.integers(1, 30), min_size=1, max_size=3))
def test_documents_that_grew_equal_documents_folded_anew(
    engine_of_run: Engine, items: list[Interpreted], sizes: list[int]
) -> None:
    with engine_of_run.connect() as conn:
        transaction = conn.begin()
        for batch in cut(items, sizes):
            store(conn, batch, net=NET, now=LATER)
        grown = snapshot(conn, ["document"])
        assert rebuild(conn, net=NET) == len(grown["document"])
        assert snapshot(conn, ["document"]) == grown
        transaction.rollback()


def test_messages_one_by_one_equal_one_batch(engine_of_run: Engine) -> None:
    items = month(7, 8)
    assert kept(engine_of_run, [[item] for item in items]) == kept(engine_of_run, [items])
