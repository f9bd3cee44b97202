"""The trace page without a browser: one box, tabs, lineage, hops, masked values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from streamlit.testing.v1 import AppTest

from db.tables import event
from tests.app.conftest import Seat
from tests.app.papers import ORDER, bring
from tests.desk import Desk
from tower.access import Role, scope_of
from worker.configuration import activate

Open = Callable[..., AppTest]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def number(database: Engine, shop: Desk, now: datetime) -> str:
    bring(database, now)
    return ORDER.split(b"BEG*")[1].split(b"*")[2].decode()


def told(at: AppTest) -> str:
    return "\n".join(
        str(one.value) for one in (*at.markdown, *at.caption, *at.subheader, *at.error)
    )


def test_text_of_a_payload_is_found_and_what_was_not_searched_is_said(
    screens: Open, number: str
) -> None:
    at = screens("trace", ref="order-77.edi")
    assert not at.exception
    assert "1 message" in told(at)
    assert any("expired" in one.value for one in at.markdown)
    nothing = screens("trace", ref="zebra-stripes")
    assert not nothing.exception
    assert "Nothing was found" in told(nothing)


def test_a_number_opens_its_document_and_every_tab_draws(screens: Open, number: str) -> None:
    at = screens("trace", ref=number)
    assert not at.exception
    assert f"Purchase order {number}" in told(at)
    for tab in ("lineage", "hops", "agreement", "systems", "clocks", "cases", "related"):
        at = screens("trace", ref=f"po:main:{number}", tab=tab)
        assert not at.exception, tab


@pytest.mark.parametrize(("answer", "said"), [("rejected", True), ("accepted", False)])
def test_an_order_that_was_refused_is_not_told_as_one_that_was_acknowledged(
    screens: Open, database: Engine, shop: Desk, answer: str, said: bool
) -> None:
    shop.po("4500000099", released=shop.at(hours=3), status="acknowledged", answer=answer)
    with database.begin() as conn:
        shop.write(conn)
    at = screens("trace", ref="po:main:4500000099")
    assert not at.exception
    assert ("answer: rejected" in told(at)) is said
    assert "acknowledged" in told(at)


def test_the_address_says_where_the_walk_stands(screens: Open, number: str) -> None:
    field = f"field:po:main:{number}#currency"
    at = screens("trace", ref=f"po:main:{number}", tab="lineage", node=field, depth="3")
    assert not at.exception
    assert "**Document field** currency" in told(at)
    odd = screens("trace", ref=f"po:main:{number}", tab="lineage", node="nonsense")
    assert not odd.exception


@pytest.mark.parametrize("screen", ["integrations", "reconciliation"])
def test_the_other_pages_of_support_draw(screens: Open, number: str, screen: str) -> None:
    at = screens(screen)
    assert not at.exception


def test_a_partner_shows_what_is_missing_and_the_next_step(
    screens: Open, database: Engine, number: str
) -> None:
    activate(database, ROOT / "network.yaml", ROOT / "sla_rules.yaml", datetime.now(UTC))
    at = screens("integrations", supplier="ACME")
    assert not at.exception
    assert "**Checklist**" in told(at)
    assert "missing. **Next:**" in told(at)
    (items,) = at.table
    assert {"identifiers", "connection", "signed off"} <= set(items.value["What"])
    assert "signed\\_off" in " ".join(items.value["Next step"])
    everybody = screens("integrations")
    assert "**Partners**" in told(everybody)
    assert "**Checklist**" not in told(everybody)


def test_lines_on_which_systems_differ_are_told_with_whose_word_counts(
    screens: Open, database: Engine, shop: Desk, now: datetime
) -> None:
    since = now.isoformat()
    shop.line(
        "4500000007",
        "20",
        reports={
            "erp": {"confirmed_qty": ["40", since], "price": ["2.50", since]},
            "portal": {"confirmed_qty": ["35", since], "price": ["2.5", since]},
        },
    )
    with database.begin() as conn:
        shop.write(conn)
    at = screens("reconciliation")
    assert not at.exception
    shown = {metric.label: metric.value for metric in at.metric}
    assert (shown["Lines"], shown["Quantity breaks"], shown["Price breaks"]) == ("1", "1", "0")
    (table,) = at.dataframe
    (row,) = table.value.to_dict("records")
    assert row["Line"] == "4500000007 · 20"
    assert (row["Field"], row["Gap"]) == ("confirmed qty", "5")
    assert "40" in row["ERP"]
    assert "portal: 35" in row["Others"]
    price = screens("reconciliation", kind="price")
    assert not price.exception
    assert not price.dataframe


@pytest.mark.parametrize(("role", "reads"), [("support", True), ("leader", False)])
def test_who_reads_no_bytes_sees_the_story_without_them(
    screens: Open, number: str, seat: Seat, role: Role, reads: bool
) -> None:
    seat("kim", scope_of(role, None))
    at = screens("trace", ref=f"po:main:{number}", tab="hops")
    assert not at.exception
    assert f"Purchase order {number}" in told(at)
    assert ("sha-256" in told(at)) is reads
    searched = screens("trace", ref="order-77.edi")
    assert ("your role does not include it" in told(searched)) is not reads


def test_the_story_stands_as_it_was_known_at_an_instant(
    screens: Open, database: Engine, number: str
) -> None:
    ref = f"po:main:{number}"
    with database.connect() as conn:
        first, last = conn.execute(
            select(func.min(event.c.received_at), func.max(event.c.received_at))
        ).one()
    now = screens("trace", ref=ref)
    (slider,) = now.select_slider
    assert (slider.label, slider.value) == ("As known at", "now")
    assert not now.info
    then = screens("trace", ref=ref, known=last.isoformat(), tab="clocks")
    assert not then.exception
    assert any("judged later is left out" in one.value for one in then.info)
    assert f"Purchase order {number}" in told(then)
    early = screens("trace", ref=ref, known=(first - timedelta(days=1)).isoformat())
    assert not early.exception
    assert f"Purchase order {number}" not in told(early)
