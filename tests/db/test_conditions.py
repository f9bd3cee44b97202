"""Conditions as SQL: the database and the closure that judges give the same answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Text, cast, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from db.conditions import predicate
from tower.conditions import All, AnyOf, Compare, Known, Node, Not, OneOf, compiled

NAMES = ("po.type", "supplier.tier", "po.value", "po.rush")
# Few values, so that they meet; capitals, umlauts and digits sort differently by language.
TEXTS = st.sampled_from(["", "A", "a", "B", "Ä", "z", "10", "9", "rush"])
NUMBERS = st.sampled_from([0, 1, -1, 9, 10, 0.1, 9.99, 10.0, 1e6, 2**53])
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans())
ORDERED = st.one_of(TEXTS, NUMBERS)
VALUES = st.one_of(SCALARS, st.none(), st.just([1]), st.just({"a": 1}))

LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.builds(Compare, st.sampled_from(NAMES), st.sampled_from(["eq", "ne"]), SCALARS),
    st.builds(Compare, st.sampled_from(NAMES), st.sampled_from(["gt", "ge", "lt", "le"]), ORDERED),
    st.builds(OneOf, st.sampled_from(NAMES), st.lists(SCALARS, min_size=1, max_size=3).map(tuple)),
    st.builds(Known, st.sampled_from(NAMES)),
)


def _inner(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    parts = st.lists(nodes, max_size=3).map(tuple)
    return st.one_of(st.builds(All, parts), st.builds(AnyOf, parts), st.builds(Not, nodes))


TREES = st.recursive(LEAVES, _inner, max_leaves=8)
ROWS = st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4), min_size=1, max_size=6)


@pytest.mark.long
@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES, rows=ROWS)
def test_closure_and_database_agree_on_any_tree_and_row(
    connection: Connection, tree: Node, rows: list[dict[str, Any]]
) -> None:
    holds = compiled(tree)
    said = connection.execute(
        select(
            *(
                predicate(tree, cast(literal(orjson.dumps(row).decode(), Text), JSONB)).label(
                    f"row_{n}"
                )
                for n, row in enumerate(rows)
            )
        )
    ).one()
    assert list(said) == [holds(row) for row in rows]
