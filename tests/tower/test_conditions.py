"""Conditions: what holds, what a missing value does, and how it reads."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tower.conditions import Condition, implies


@pytest.mark.parametrize(
    ("condition", "attributes", "holds"),
    [
        ({"po.type": "rush"}, {"po.type": "rush"}, True),
        ({"po.type": "rush"}, {"po.type": "standard"}, False),
        ({"po.type": "rush"}, {}, False),
        ({"po.type": ["rush", "standard"]}, {"po.type": "standard"}, True),
        ({"po.type": ["rush", "standard"]}, {"po.type": None}, False),
        ({"po.type": {"ne": "rush"}}, {"po.type": "standard"}, True),
        ({"po.type": {"ne": "rush"}}, {}, False),
        ({"po.type": {"not": "rush"}}, {}, True),
        ({"not": {"po.type": "rush"}}, {}, True),
        ({"po.type": {"missing": True}}, {"po.type": None}, True),
        ({"po.type": {"present": True}}, {"po.type": ""}, True),
        ({"po.value": {"ge": 10, "lt": 20}}, {"po.value": 10}, True),
        ({"po.value": {"ge": 10, "lt": 20}}, {"po.value": Decimal("20.0")}, False),
        ({"po.value": {"gt": 0.1}}, {"po.value": Decimal("0.1")}, False),
        ({"po.value": 0.1}, {"po.value": Decimal("0.1")}, True),
        ({"po.value": {"gt": 5}}, {"po.value": "many"}, False),
        ({"po.value": {"gt": 5}}, {}, False),
        ({"po.value": 1}, {"po.value": True}, False),
        ({"supplier.acknowledges": True}, {"supplier.acknowledges": True}, True),
        ({"supplier.acknowledges": True}, {"supplier.acknowledges": 1}, False),
        ({"po.ship_by": {"le": "2026-04-01"}}, {"po.ship_by": "2026-03-31"}, True),
        ({"po.type": "rush", "supplier.tier": "A"}, {"po.type": "rush"}, False),
        ({"any": [{"po.type": "rush"}, {"supplier.tier": "A"}]}, {"supplier.tier": "A"}, True),
        ({"po.type": {"any": ["rush", {"missing": True}]}}, {}, True),
        ({"po.value": {"all": [{"gt": 1}, {"ne": 3}]}}, {"po.value": 3}, False),
    ],
)
def test_a_condition_holds_exactly_when_it_says_so(
    condition: dict[str, Any], attributes: dict[str, Any], holds: bool
) -> None:
    assert Condition.parse(condition).holds(attributes) is holds


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (
            {"po.type": ["standard", "rush"], "supplier.tier": "A"},
            "PO type is standard or rush, and supplier tier is A",
        ),
        ({"supplier.acknowledges": True}, "supplier acknowledges is yes"),
        ({"po.affected_orders": {"ge": 1}}, "PO affected orders is at least 1"),
        ({"po.acknowledge_by": {"missing": True}}, "PO acknowledge by is not known"),
        ({"not": {"partner.stage": "live"}}, "not (partner stage is live)"),
        (
            {"any": [{"po.type": "rush"}, {"po.value": {"gt": 5}, "supplier.tier": "A"}]},
            "PO type is rush, or (PO value is over 5, and supplier tier is A)",
        ),
    ],
)
def test_a_condition_reads_as_a_sentence(condition: dict[str, Any], sentence: str) -> None:
    assert Condition.parse(condition).sentence() == sentence


@pytest.mark.parametrize(
    ("condition", "loc"),
    [
        ({}, ()),
        ("po.type", ()),
        ({"type": "rush"}, ("type",)),
        ({"po.type": {"gee": 1}}, ("po.type", "gee")),
        ({"po.type": {}}, ("po.type",)),
        ({"po.type": []}, ("po.type",)),
        ({"po.type": [["rush"]]}, ("po.type",)),
        ({"po.type": {"gt": True}}, ("po.type", "gt")),
        ({"po.type": {"missing": False}}, ("po.type", "missing")),
        ({"po.type": None}, ("po.type",)),
        ({"any": {"po.type": "rush"}}, ("any",)),
        ({"any": [{"po.type": "rush"}, {"tier": "A"}]}, ("any", 1, "tier")),
        ({"not": {"po.type": {"not": {"lt": None}}}}, ("not", "po.type", "not", "lt")),
    ],
)
def test_a_mistake_inside_a_condition_is_reported_where_it_is(
    condition: Any, loc: tuple[str | int, ...]
) -> None:
    with pytest.raises(ValidationError) as caught:
        Condition.parse(condition)
    assert [error["loc"] for error in caught.value.errors()] == [loc]
    assert all(error["ctx"]["next_step"] for error in caught.value.errors())


_names = st.sampled_from(["po.type", "po.value", "supplier.tier"])
_values: st.SearchStrategy[Any] = st.sampled_from(["A", "B", 1, 2.5, True, False])
_matchers = st.recursive(
    _values
    | st.lists(_values, min_size=1, max_size=3)
    | st.fixed_dictionaries({"ne": _values})
    | st.fixed_dictionaries({"ge": st.sampled_from(["A", 1, 2.5])})
    | st.just({"present": True})
    | st.just({"missing": True}),
    lambda inner: (
        st.fixed_dictionaries({"not": inner})
        | st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=2)})
    ),
    max_leaves=4,
)
_conditions = st.recursive(
    st.dictionaries(_names, _matchers, min_size=1, max_size=2),
    lambda inner: (
        st.fixed_dictionaries({"not": inner})
        | st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=2)})
    ),
    max_leaves=4,
)
_rows = st.dictionaries(_names, _values | st.none(), max_size=3)


@settings(max_examples=200, deadline=None)
@given(_conditions, _rows)
def test_not_is_the_plain_complement(condition: dict[str, Any], row: dict[str, Any]) -> None:
    assert Condition.parse({"not": condition}).holds(row) is not Condition.parse(condition).holds(
        row
    )


@settings(max_examples=300, deadline=None)
@given(_conditions, _conditions, st.lists(_rows, max_size=8))
def test_a_row_called_unreachable_is_never_reached(
    first: dict[str, Any], second: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    wide, narrow = Condition.parse(first), Condition.parse(second)
    if implies(narrow.node, wide.node):
        assert all(wide.holds(row) for row in rows if narrow.holds(row))
    assert implies(narrow.node, narrow.node)
    assert implies(narrow.node, None)
