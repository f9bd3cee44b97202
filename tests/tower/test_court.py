"""Who decides a cycle: versions of rules, calendars and profiles, and what a line hears."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest

from tower.calendars import CalendarSpec
from tower.court import (
    Code,
    Profile,
    UnitCourt,
    new_profiles,
    profile_body,
    revived_rule,
    spread,
    subject_attributes,
    supplier_of,
)
from tower.cycles import Cycle, Verdict
from tower.network import Company, Network, Partner, Source, System
from tower.rulebook import judging_body, load_rulebook
from tower.signs import Sign, Subject

SHIPPED = (Path(__file__).resolve().parents[2] / "sla_rules.yaml").read_text(encoding="utf-8")
BOOK = load_rulebook(SHIPPED)
T0 = datetime(2026, 3, 30, 6, tzinfo=UTC)
PO = Subject("po", "main", "4711")
LINE, OTHER = Subject("po_line", "main", "4711", "10"), Subject("po_line", "main", "4711", "20")
NAMES = UUID("11111111-2222-3333-4444-555555555555")


def network(**acme: Any) -> Network:
    return Network(
        company=Company(name="N", zone="Europe/Berlin"),
        systems={"web": System(name="Portal", kind="portal"), "sap": System(name="E", kind="erp")},
        sources={
            "portal": Source(kind="push", format="cloudevents", system="web"),
            "mailbox": Source(kind="push", format="cloudevents", system="web"),
            "erp": Source(kind="push", format="cloudevents", system="sap"),
        },
        partners={"ACME": Partner(name="Acme", **{"tier": "A", "feeds": ["portal"], **acme})},
        calendars={
            "hq": CalendarSpec(zone="Europe/Berlin", open={"mon-fri": ["08:00-17:00"]}),
            "shift": CalendarSpec(zone="Europe/Berlin", open={"daily": ["06:00-22:00"]}),
        },
    )


def sign(name: str, type_: str, hours: float = 0, **facts: Any) -> Sign:
    at = T0 + timedelta(hours=hours)
    return Sign(type_, at, at, uuid5(NAMES, name), facts)


def profile(net: Network, since: datetime) -> Profile:
    [(version, (_, body))] = new_profiles(net, {}).items()
    return Profile(version, since, body)


def court(code: Code, clocks: Any = None) -> UnitCourt:
    return UnitCourt(code, "ACME", {PO: {"po.number": "4711"}}, clocks or {})


def rule(code: Code, rule_id: str) -> Any:
    return next(r for r in code.rules if r.id == rule_id)


def test_the_profile_at_the_cycles_start_decides() -> None:
    before, after = network(tier="A"), network(tier="C", calendar="shift")
    changed_at = T0 + timedelta(days=1)
    code = Code(after, BOOK, {"ACME": [profile(before, T0), profile(after, changed_at)]})
    unacknowledged = rule(code, "po.unacknowledged")
    old = court(code).setting(unacknowledged, PO, 1, T0 + timedelta(hours=1))
    new = court(code).setting(unacknowledged, PO, 2, changed_at)
    assert (old.attributes["supplier.tier"], old.calendar.name) == ("A", "hq")
    assert (new.attributes["supplier.tier"], new.calendar.name) == ("C", "shift")
    assert old.profile_version != new.profile_version
    # What was before the first version is judged by the first one.
    assert court(code).setting(unacknowledged, PO, 1, T0 - timedelta(days=9)) == old


def test_a_profile_that_comes_back_is_a_version_of_its_own() -> None:
    first, second = network(tier="A"), network(tier="B")
    a, b = profile(first, T0), profile(second, T0 + timedelta(days=1))
    assert new_profiles(second, {"ACME": [a, b]}) == {}
    [version] = new_profiles(first, {"ACME": [a, b]})
    assert version not in (a.version, b.version)


def test_two_partners_of_one_profile_are_kept_apart() -> None:
    net = network()
    same = net.model_copy(update={"partners": {**net.partners, "ZETA": net.partners["ACME"]}})
    assert len(new_profiles(same, {})) == 2


def test_evidence_is_what_serves_the_partner() -> None:
    code = Code(network(), BOOK, {"ACME": [profile(network(), T0)]})
    setting = court(code).setting(rule(code, "po.unacknowledged"), PO, 1, T0)
    assert [e.source for e in setting.evidence] == ["portal"]
    applied = court(code).setting(rule(code, "po.answer_not_applied"), PO, 1, T0)
    assert [e.source for e in applied.evidence] == ["erp"]  # none of its own feeds: all named


def test_a_kept_rule_judges_as_it_did() -> None:
    for shipped in BOOK.rules:
        if shipped.kind == "source":
            continue
        again = revived_rule(judging_body(shipped, BOOK), "v1")
        assert again.version == "v1"
        body = judging_body(again.rule, BOOK)
        assert body == judging_body(shipped, BOOK)
        assert [e.when for e in again.exemptions] == [e.when for e in BOOK.not_measured]


@pytest.mark.parametrize(("is_open", "kept"), [(False, True), (True, False)])
def test_closed_cycles_keep_their_rule_and_open_ones_do_not(is_open: bool, kept: bool) -> None:
    changed = load_rulebook(SHIPPED.replace("tier: A}, within: 4bh", "tier: A}, within: 9bh"))
    old = Code(network(), BOOK, {})
    version = rule(old, "po.unacknowledged").version
    code = Code(network(), changed, {}, old_rules={version: old.versions[version]})
    cycle = Cycle(
        1, Verdict.MET, is_open, False, T0, T0, (), None,
        rule_version=version, calendar_version=code.calendar("hq").version,
    )  # fmt: skip
    clocks = {("po.unacknowledged", PO): (cycle,)}
    setting = court(code, clocks).setting(rule(code, "po.unacknowledged"), PO, 1, T0)
    assert (setting.rule.version == version) is kept
    assert code.outdated(clocks) is is_open


def test_a_book_may_leave_running_cycles_alone() -> None:
    leaving = load_rulebook(SHIPPED.replace("version: 1\n", "version: 1\nopen_clocks: keep\n", 1))
    code = Code(network(), leaving, {})
    cycle = Cycle(1, Verdict.PENDING, True, False, T0, T0, (), None, rule_version="older")
    assert not code.outdated({("po.unacknowledged", PO): (cycle,)})
    assert code.outdated({("gone.rule", PO): (cycle,)})


def test_what_is_said_of_the_order_is_said_of_its_lines() -> None:
    types = frozenset({"po.cancelled", "asn.received"})
    whole, part = sign("c", "po.cancelled"), sign("a", "asn.received", ships={"10": ["5", "EA"]})
    given = {
        PO: [sign("r", "po.released"), whole, part],
        LINE: [sign("r", "po.released"), part],
        OTHER: [sign("r", "po.released")],
    }
    heard = spread(given, types)
    assert [s.type for s in heard[LINE]] == ["po.released", "asn.received", "po.cancelled"]
    assert [s.type for s in heard[OTHER]] == ["po.released", "po.cancelled"]
    assert len(heard[PO]) == 3


def test_an_event_that_reaches_a_subject_twice_counts_once() -> None:
    first = sign("x", "fa.received", 1)
    later = Sign(first.type, first.occurred_at, T0 + timedelta(days=1), first.event_id)
    taken = Sign(first.type, first.occurred_at, T0 + timedelta(days=2), first.event_id, {}, T0)
    assert spread({PO: [later, first]}, frozenset())[PO] == [first]
    assert spread({PO: [first, taken, later]}, frozenset())[PO] == [taken]


def test_attributes_come_from_the_earliest_word() -> None:
    found = subject_attributes(
        {
            PO: [sign("2", "po.revised", 5, type="rush"), sign("1", "po.released", type="standard",
                 buyer="ben")],
            LINE: [sign("1", "po.released", item="I-1", requested_date="2026-04-07")],
        }
    )  # fmt: skip
    assert found[PO]["po.type"] == "standard"
    assert found[LINE]["po.buyer"] == "ben"
    assert (found[LINE]["po_line.line"], found[LINE]["po_line.item"]) == ("10", "I-1")


def test_the_supplier_is_whom_the_earliest_known_sign_names() -> None:
    signs = {PO: [sign("2", "po.acknowledged", 2, supplier="ACME"),
                  sign("1", "po.released", 1, supplier="unheard-of")]}  # fmt: skip
    assert supplier_of(signs, network()) == "ACME"
    assert supplier_of({Subject("asn", "ACME", "A-1"): []}, network()) == "ACME"
    assert supplier_of({PO: []}, network()) is None


def test_a_profile_body_holds_what_decides_and_no_contacts() -> None:
    body = profile_body("ACME", Partner(name="Acme", tier="A", contacts={"desk": "x@example.org"}))
    assert body["tier"] == "A"
    assert not {"name", "contacts", "ids"} & body.keys()
