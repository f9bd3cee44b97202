"""Receipts: the arithmetic of a clock as one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest

from tower.calendars import Calendar, CalendarSpec
from tower.clocks import fold
from tower.receipts import receipt_text
from tower.rulebook import load_rulebook
from tower.signs import Setting, Sign, rules_in_force
from tower.zones import zone

SHIPPED = Path(__file__).resolve().parents[2] / "sla_rules.yaml"
RULES = {r.id: r for r in rules_in_force(load_rulebook(SHIPPED.read_text(encoding="utf-8")))}
HQ = Calendar(
    "hq",
    CalendarSpec(zone="Europe/Berlin", open={"mon-fri": ["08:00-12:00", "13:00-17:00"]}),
)
BERLIN = zone("Europe/Berlin")
NAMES = UUID("11111111-2222-3333-4444-555555555555")


def sign(type_: str, text: str, **facts: Any) -> Sign:
    at = datetime.fromisoformat(f"2026-{text}").replace(tzinfo=BERLIN).astimezone(UTC)
    return Sign(type_, at, at, uuid5(NAMES, type_ + text), facts)


def receipt(rule: str, *signs: Sign, **profile: Any) -> Mapping[str, Any]:
    attributes = {name.replace("__", "."): value for name, value in profile.items()}
    attributes["supplier.acknowledges"] = True
    attributes["supplier.sends_asn"] = attributes["supplier.expects_fa"] = True
    setting = Setting(RULES[rule], HQ, attributes)
    folded = fold(RULES[rule], signs, [], lambda _n, _s: setting, signs[-1].arrived_at)
    return folded.cycles[-1].receipt


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            receipt("po.unacknowledged", sign("po.released", "03-27 14:00"), supplier__tier="A"),
            "released Fri 27 Mar 14:00; Fri 27 Mar 14:00-17:00 3 bh + Mon 30 Mar 08:00-09:00 1 bh "
            "= 4 bh (supplier tier is A) -> due Mon 30 Mar 09:00 Europe/Berlin = 07:00 UTC; "
            "calendar hq v3",
        ),
        (
            receipt("po.unacknowledged", sign("po.released", "04-01 15:00:01"), supplier__tier="B"),
            "released Wed 1 Apr 15:00:01; counted from Thu 2 Apr 08:00; 1 bd (supplier tier is B) "
            "-> due Fri 3 Apr 17:00 Europe/Berlin = 15:00 UTC; calendar hq v3",
        ),
        (
            receipt(
                "po.unacknowledged",
                sign("po.released", "03-30 09:00"),
                sign("po.held", "03-30 11:00"),
                sign("po.unheld", "03-31 10:00"),
                supplier__tier="A",
            ),
            "released Mon 30 Mar 09:00; paused Mon 30 Mar 11:00 to Tue 31 Mar 10:00; "
            "Mon 30 Mar 09:00-11:00 2 bh + Tue 31 Mar 10:00-12:00 2 bh = 4 bh (supplier tier is A) "
            "-> due Tue 31 Mar 12:00 Europe/Berlin = 10:00 UTC; calendar hq v3",
        ),
        (
            receipt(
                "po.unacknowledged",
                sign("po.released", "03-27 14:00", acknowledge_by="2026-03-31"),
            ),
            "released Fri 27 Mar 14:00; the document says acknowledge by 2026-03-31 "
            "-> due Wed 1 Apr 00:00 Europe/Berlin = 22:00 UTC; calendar hq v3",
        ),
        (
            receipt(
                "po.unacknowledged",
                sign("po.released", "03-30 08:00", acknowledge_by="2026-03-20", type="rush"),
            ),
            "released Mon 30 Mar 08:00; po.acknowledge_by 2026-03-20 leaves no time, ignored; "
            "Mon 30 Mar 08:00-10:00 2 bh = 2 bh (PO type is rush) -> due Mon 30 Mar 10:00 "
            "Europe/Berlin = 08:00 UTC; calendar hq v3",
        ),
        (
            receipt("asn.missing", sign("po.released", "03-20 09:00", requested_date="2026-04-01")),
            "released Fri 20 Mar 09:00; requested date 2026-04-01, 24 bh before it "
            "-> due Mon 30 Mar 08:00 Europe/Berlin = 06:00 UTC; calendar hq v3",
        ),
        (
            receipt("fa.overdue", sign("po.transmitted", "03-28 14:00")),
            "transmitted Sat 28 Mar 14:00; 24 h -> due Sun 29 Mar 15:00 Europe/Berlin = 13:00 UTC",
        ),
    ],
    ids=["open hours", "cut-off", "pause", "stated", "ignored", "anchor", "clock hours"],
)
def test_a_receipt_can_be_checked_with_a_pencil(given: Mapping[str, Any], said: str) -> None:
    assert receipt_text(given, "v3") == said


def test_a_receipt_without_a_label_names_the_version_of_the_calendar() -> None:
    given = receipt("po.unacknowledged", sign("po.released", "03-27 14:00"), supplier__tier="A")
    assert receipt_text(given).endswith(f"calendar hq {HQ.version}")


def test_what_is_not_measured_says_why() -> None:
    given = {**receipt("po.unacknowledged", sign("po.released", "03-27 14:00"))}
    assert receipt_text({"reason": "the partner is not live"}) == "the partner is not live"
    assert "; not measured: paused" in receipt_text({**given, "reason": "paused"})


def test_a_silent_source_says_how_far_it_is_complete() -> None:
    why = {
        "start": "2026-03-30T06:00:00+00:00",
        "zone": "Europe/Berlin",
        "silent": "edi",
        "due": "2026-03-30T10:00:00+00:00",
    }
    assert receipt_text(why) == (
        "edi complete up to Mon 30 Mar 08:00, silent beyond its rhythm since Mon 30 Mar 12:00 "
        "Europe/Berlin"
    )


def test_an_empty_receipt_is_an_empty_sentence() -> None:
    assert receipt_text({}) == ""
