"""Partners judged from their counts: errors and silence, whatever the order of what is told."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from db.tables import partner_count, suppression
from tests.worker.conftest import House, berlin
from tower.event import Event
from tower.rulebook import RuleBook
from tower.vocabulary import make_event


def message(type_: str, at: str, n: int, partner: str = "ACME") -> Event:
    """What a log tells of one message of a partner."""
    return make_event(
        type_,
        {"message": f"M{n}"},
        source="edi_in",
        raw_key=f"log-{n}",
        position="",
        occurred_at=berlin(at),
        system="gateway",
        partner=partner,
    )


def hour(bad: int, of: int, hour_: str = "09", partner: str = "ACME") -> list[tuple[Event, str]]:
    """Messages spread over an hour of 30 March, of which the last ones fail."""
    found = []
    for n in range(of):
        at = f"03-30 {hour_}:{n * 55 // of:02d}"
        number = n + 1000 * int(hour_) + 100_000 * (partner != "ACME")
        found.append((message("message.received", at, number, partner), at))
        if n >= of - bad:
            failed = message("message.failed", at, 10_000_000 + number, partner)
            found.append((failed, at))
    return found


def tell(house: House, events: Iterable[tuple[Event, str]], arrives: str | None = None) -> None:
    house.store([(event, berlin(arrives or at)) for event, at in events])


def counted(house: House) -> list[tuple[Any, ...]]:
    rows = house.rows(select(partner_count.c.type, partner_count.c.at, partner_count.c.n))
    found: dict[tuple[str, Any], int] = {}
    for type_, at, n in rows:
        found[type_, at] = found.get((type_, at), 0) + n
    return sorted((*key, n) for key, n in found.items())


def test_a_partner_whose_messages_fail_is_one_case_that_heals(house: House) -> None:
    house.until("03-30 08:00")
    tell(house, hour(bad=10, of=20))
    house.live("03-30 10:00")
    [case] = house.cases("PARTNER_ERRORS")
    assert (case.severity, case.state, case.supplier) == ("high", "new", "ACME")
    assert (case.title, case.kind, case.number) == (
        "Messages of ACME Fasteners Ltd fail", "partner", "ACME",
    )  # fmt: skip
    told = case.why["share"]
    assert (told["over"], told["limit"], told["confidence"]) == ("1h", 0.2, "95%")
    assert told["bound"] > 0.2
    assert [s.split(":")[0] for s in house.subjects()] == ["it_integration"]
    assert b"went wrong within 1h" in house.mails()[0].message
    tell(house, hour(bad=0, of=50, hour_="10"))
    house.live("03-31 12:00")
    [case] = house.cases("PARTNER_ERRORS")
    assert (case.state, case.resolution) == ("resolved", "healed")
    assert [name for name, _ in house.journal("partner.errors")][-1] == "end:cleared"
    assert len(house.mails()) == 2  # told open is told closed


def test_neither_order_nor_repeats_change_counts_or_verdicts(
    make_house: Callable[..., House],
) -> None:
    events = hour(bad=10, of=20) + hour(bad=0, of=9, hour_="08", partner="BOLT")
    found = []
    for seed in range(3):
        house = make_house()
        house.until("03-30 07:00")
        rng = random.Random(seed)
        told = list(events)
        if seed:
            told += rng.sample(events, 15)  # some come twice, as the same event in another message
            rng.shuffle(told)
        for event, at in told:
            tell(house, [(event, at)], arrives="03-30 09:58" if seed else None)
            if rng.random() < 0.2:
                house.until("03-30 09:59")
        house.until("03-30 10:00")
        clocks = [
            (c.rule, c.number, c.cycle, c.verdict, c.started_at, c.due_at, c.ended_at)
            for c in house.clocks()
        ]
        found.append((counted(house), clocks))
    assert found[0][1]
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_few_messages_prove_nothing(house: House) -> None:
    house.until("03-30 08:00")
    tell(house, hour(bad=2, of=9))
    house.live("03-30 11:00")
    assert house.cases("PARTNER_ERRORS") == []


def test_a_partner_that_is_not_live_is_not_judged(house: House) -> None:
    house.until("03-30 08:00")
    tell(house, hour(bad=10, of=20, partner="SLOW"))
    house.live("03-30 10:00")
    assert house.cases() == []
    assert {c.verdict for c in house.clocks()} == {"not_measured"}


def test_late_data_withdraw_an_alarm(house: House) -> None:
    house.until("03-30 08:00")
    tell(house, hour(bad=10, of=20))
    house.live("03-30 10:00")
    assert [c.state for c in house.cases("PARTNER_ERRORS")] == ["new"]
    # What went well was told in a file that came an hour late.
    good = [(message("message.received", f"03-30 09:{m:02d}", 5000 + 60 * n + m), "")
            for m in range(60) for n in range(5)]  # fmt: skip
    tell(house, good, arrives="03-30 10:02")
    house.live("03-30 10:05")
    assert [c.state for c in house.cases("PARTNER_ERRORS")] == ["resolved"]
    assert "retract:breach" in [name for name, _ in house.journal("partner.errors")]


def test_a_bigger_case_keeps_single_ones_quiet_and_touches_neither_clock_nor_case(
    house: House,
) -> None:
    house.until("03-30 08:00")
    tell(house, hour(bad=10, of=20))
    house.live("03-30 10:00")
    before = len(house.mails())
    house.tell(
        "asn.rejected",
        {"asn": "S-1", "supplier": "ACME", "rule": "quantity", "reason": "more than ordered",
         "message": "m"},
        "03-30 10:01",
    )  # fmt: skip
    house.live("03-30 10:30")
    [failed] = house.cases("ASN_INVALID")
    assert (failed.state, failed.severity) == ("new", "medium")
    assert ("started", "03-30 10:01") in house.journal("asn.failed")
    assert len(house.mails()) == before
    [bigger] = house.cases("PARTNER_ERRORS")
    reasons = [r.reason for r in house.rows(select(suppression)) if r.case_id == failed.id]
    assert reasons == [f"inhibited by case {bigger.id}"]


def test_what_was_agreed_with_a_partner_counts_before_the_rule(
    make_house: Callable[..., House],
) -> None:
    house = make_house()
    partners = dict(house.network.partners)
    partners["ACME"] = partners["ACME"].model_copy(update={"max_errors": Decimal("0.6")})
    house.network = house.network.model_copy(update={"partners": partners})
    house.use(house.rulebook)
    house.until("03-30 08:00")
    tell(house, hour(bad=10, of=20) + hour(bad=10, of=20, partner="BOLT"))
    house.live("03-30 10:00")
    assert [case.supplier for case in house.cases("PARTNER_ERRORS")] == ["BOLT"]


# --- gone quiet ---------------------------------------------------------------------------------


@pytest.fixture
def quiet(
    make_house: Callable[..., House], rules_of: Callable[[str], RuleBook], shipped_text: str
) -> House:
    """With the shipped rules, but one open order is enough."""
    return make_house(rules_of(shipped_text.replace("open_pos: {ge: 30}", "open_pos: {ge: 1}")))


def test_a_supplier_that_owes_us_something_and_says_nothing_is_a_case(quiet: House) -> None:
    quiet.until("03-27 08:00")
    quiet.released("1", "03-27 10:00")
    quiet.acknowledged("1", "03-27 11:00")
    quiet.live("03-31 17:09")  # two business days, and time for stragglers
    assert quiet.cases("VOLUME_ANOMALY") == []
    quiet.live("03-31 17:10")
    [case] = quiet.cases("VOLUME_ANOMALY")
    assert (case.kind, case.number, case.opened_at) == ("supplier", "ACME", berlin("03-31 17:00"))
    assert case.title == "Nothing comes from ACME Fasteners Ltd any more"
    quiet.acknowledged("1", "04-01 09:00")
    quiet.live("04-01 10:00")
    [case] = quiet.cases("VOLUME_ANOMALY")
    assert (case.state, case.resolution) == ("resolved", "healed")


def test_nothing_is_expected_of_a_supplier_that_owes_us_nothing(quiet: House) -> None:
    quiet.until("03-23 08:00")
    quiet.released("1", "03-23 10:00")
    quiet.acknowledged("1", "03-23 11:00")
    quiet.tell("po.closed", {"po": "1", "erp": "main"}, "03-24 10:00")
    quiet.live("03-27 18:00")
    assert quiet.cases("VOLUME_ANOMALY") == []
    # A new order: from its release on something is expected, however long it was quiet.
    quiet.released("2", "03-30 10:00")
    quiet.live("04-01 17:09")
    assert quiet.cases("VOLUME_ANOMALY") == []
    quiet.live("04-01 17:10")
    assert [c.state for c in quiet.cases("VOLUME_ANOMALY")] == ["new"]
    quiet.tell("po.cancelled", {"po": "2", "erp": "main"}, "04-02 09:00")
    quiet.live("04-02 10:00")
    assert [c.state for c in quiet.cases("VOLUME_ANOMALY")] == ["resolved"]
    assert quiet.journal("supplier.quiet")[-1] == ("end:cancelled", "04-02 09:00")


def test_while_our_own_feed_is_silent_nobody_is_called_quiet(quiet: House) -> None:
    quiet.until("03-27 08:00")
    quiet.released("1", "03-27 10:00")
    quiet.acknowledged("1", "03-27 11:00")
    quiet.until("03-30 12:00")
    for source in ("erp", "portal"):
        quiet.heard(source, berlin("04-01 10:00"))
    quiet.until("04-01 10:00", fresh=False)  # edi_in spoke last on Monday
    assert quiet.cases("VOLUME_ANOMALY") == []
    [judged] = [c for c in quiet.clocks() if c.rule == "supplier.quiet"]
    assert (judged.verdict, judged.held_by) == ("unknown", "edi_in")
    quiet.until("04-01 10:30")
    quiet.until("04-01 10:45")
    assert [c.state for c in quiet.cases("VOLUME_ANOMALY")] == ["new"]
