"""The truth is true: judged from the bytes alone, all planted faults show and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from simulator import limits
from simulator.cast import HQ, Supplier
from simulator.emissions import Emissions
from simulator.queues import QUEUES, Broker
from simulator.truth import COVERED, NEVER_DUE, Planted, score
from simulator.world import World, build

if TYPE_CHECKING:
    from conftest import OrderRead, Reading

AS_OF = datetime(2026, 3, 27, 14, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
Found = set[tuple[str, str]]


def first_after(times: list[datetime], start: datetime) -> datetime | None:
    return min((t for t in times if t >= start), default=None)


def is_late(stop: datetime | None, due: datetime, now: datetime) -> bool:
    return due < now and (stop is None or stop > due)


def judge_order(order: OrderRead, supplier: Supplier, now: datetime) -> Found:
    """What the rules must find about one order, from what was said about it."""
    ref = f"po:main:{order.number}"
    found: Found = set()
    told = order.accepted + order.rejected
    if supplier.answers_orders:
        clock = limits.answer_time(supplier, order.released, order.kind)
        shipped = [t for times in order.announced.values() for t in times]
        given_up = min(order.ended, default=None)
        if is_late(first_after(told + shipped, order.released), clock.due, now) and not (
            given_up and given_up <= clock.due
        ):
            found.add(("ACK_OVERDUE", ref))
    if order.rejected:
        found.add(("ACK_REJECTED", ref))
    for sent in order.transmitted if supplier.expects_fa else ():
        if is_late(first_after(order.functional + told, sent), sent + limits.FA_WITHIN, now):
            found.add(("FA_OVERDUE", ref))
    for answered in order.accepted:
        due = answered + limits.APPLIED_WITHIN
        if is_late(first_after(order.applied, answered), due, now):
            found.add(("ACK_NOT_IN_ERP", ref))
    for line, wanted in order.wanted.items() if supplier.sends_asn else ():
        said = order.confirmed.get(line)
        due = limits.asn_due(max(said)[1] if said else wanted)
        settled = min(order.ended + order.received.get(line, []), default=None)
        if is_late(first_after(order.announced.get(line, []), order.released), due, now) and not (
            settled and settled <= due
        ):
            found.add(("ASN_MISSING", ref))
    return found


def judge(reading: Reading, now: datetime) -> Found:
    suppliers = {s.key: s for s in reading.world.cast.suppliers}
    found: Found = set()
    for order in reading.orders.values():
        found |= judge_order(order, suppliers[order.supplier], now)
    for asn, verdicts in reading.verdicts.items():
        if not all(good for _, good in verdicts):
            found.add(("ASN_INVALID", asn))
    return found


def silent(world: World) -> Found:
    return {("SOURCE_SILENT", f"source::{outage.door}") for outage in world.outages}


def failing(reading: Reading) -> Found:
    """Partners of whose messages most failed within an hour."""
    found: Found = set()
    for key, steps in reading.steps.items():
        bad = sorted(at for at, step in steps if step == "delivery.failed")
        came = sorted(at for at, step in steps if step in ("inbound.received", "order.received"))
        for at in bad:
            n_bad = sum(at - HOUR < t <= at for t in bad)
            n_came = sum(at - HOUR < t <= at for t in came)
            if n_bad >= 3 and max(n_bad, n_came) >= 10 and n_bad > n_came / 2:
                found.add(("PARTNER_ERRORS", f"partner::{key}"))
    return found


def quiet(reading: Reading, now: datetime) -> Found:
    """Suppliers with thirty orders under way that say nothing for two business days."""
    suppliers = {s.key: s for s in reading.world.cast.suppliers}
    words: dict[str, list[datetime]] = {key: [] for key in suppliers}
    orders: dict[str, list[OrderRead]] = {key: [] for key in suppliers}
    for order in reading.orders.values():
        orders[order.supplier].append(order)
        words[order.supplier] += order.functional + order.accepted + order.rejected
        words[order.supplier] += [t for times in order.announced.values() for t in times]
    found: Found = set()
    for key, spoken in words.items():
        spoken.sort()
        for word, following in zip(spoken, [*spoken[1:], now], strict=False):
            due = suppliers[key].hours.end_of_business_day(word, 2)
            under_way = [
                o
                for o in orders[key]
                if o.released < word and all(min(t) > due for t in o.announced.values())
            ]
            if following > due and len(under_way) >= 30:
                found.add(("VOLUME_ANOMALY", f"supplier::{key}"))
    return found


def backed_up(world: World, now: datetime) -> Found:
    """Queues deeper than five hundred, looked at every ten minutes."""
    broker = Broker(world.seed, world.stays, world.backlogs)
    found: Found = set()
    at = world.start
    while at <= now:
        for queue in QUEUES:
            if broker.totals(queue, at)["messages"] > 500:
                found.add(("QUEUE_BACKLOG", f"queue:broker:{queue.name}"))
        at += timedelta(minutes=10)
    return found


def assert_true(world: World, reading: Reading, now: datetime) -> None:
    troubles = failing(reading) | quiet(reading, now) | backed_up(world, now)
    result = world.score(judge(reading, now) | silent(world) | troubles, now)
    assert result.false == []
    assert result.missed == []
    assert result.expected > 0


def test_all_planted_faults_show_and_nothing_else(world: World, reading: Reading) -> None:
    assert_true(world, reading, AS_OF)
    assert {p.category for p in world.expected(AS_OF)} == COVERED
    assert {p.category for p in world.planted if not p.covered} == {
        "ASN_SHORT",
        "ASN_DUPLICATE",
        "CLOCK_SKEW",
        "ID_NOT_IDENTIFYING",
    }


@pytest.mark.parametrize(
    ("seed", "as_of"),
    [
        # a Sunday night after Thanksgiving
        pytest.param(2, datetime(2026, 11, 29, 3, tzinfo=UTC), marks=pytest.mark.long),
        # before opening, after the holidays
        pytest.param(3, datetime(2027, 1, 4, 12, 30, tzinfo=UTC), marks=pytest.mark.long),
        # clock changes on both sides of the sea
        pytest.param(4, datetime(2026, 4, 1, 21, tzinfo=UTC), marks=pytest.mark.long),
        (5, datetime(2026, 10, 9, 18, 0, tzinfo=UTC)),  # after a week without China
    ],
)
def test_the_truth_holds_for_other_seeds_and_seasons(
    seed: int, as_of: datetime, read_all: Callable[[World, Emissions], Reading]
) -> None:
    world = build(seed, as_of, days=35, pos_per_day=25)
    assert_true(world, read_all(world, world.advance(as_of)), as_of)


def test_no_lead_time_was_agreed_that_could_be_missed(reading: Reading) -> None:
    assert not any("lead_time_days" in one for one in reading.network["partners"].values())


def test_what_is_not_planted_stays_well_inside_the_limits(world: World, reading: Reading) -> None:
    suppliers = {s.key: s for s in world.cast.suppliers}
    skewed = {p.subject.split("::")[1] for p in world.planted if p.category == "CLOCK_SKEW"}
    planted = {name for p in world.planted for name in p.names()}
    calm = [o for o in reading.orders.values() if f"po:main:{o.number}" not in planted]
    assert len(calm) > 1000
    for order in calm:
        supplier = suppliers[order.supplier]
        if supplier.answers_orders and (order.accepted or order.rejected):
            clock = limits.answer_time(supplier, order.released, order.kind)
            told = min(order.accepted + order.rejected)
            used = supplier.hours.minutes_between(clock.start, told)
            assert used <= 0.6 * clock.minutes
        if supplier.expects_fa and order.functional and supplier.key not in skewed:
            took = min(order.functional) - min(order.transmitted)
            assert took <= timedelta(hours=1)
        for answered in order.accepted:
            applied = first_after(order.applied, answered)
            if applied is not None:
                assert applied - answered <= timedelta(hours=2.4)
        for line, announced in order.announced.items():
            days = [day for _, day in order.confirmed[line]] or [order.wanted[line]]
            due = limits.asn_due(max(days))
            assert HQ.minutes_between(min(announced), due) >= 8 * 60


def test_a_planted_delay_lies_far_outside(world: World, reading: Reading) -> None:
    orders = {f"po:main:{o.number}": o for o in reading.orders.values()}
    late = [p for p in world.planted if p.category == "ACK_OVERDUE" and p.subject in orders]
    answered = [(p, orders[p.subject].accepted) for p in late if orders[p.subject].accepted]
    assert len(answered) > 5
    assert all(min(told) - p.due_at >= timedelta(hours=8) for p, told in answered)


def test_no_fault_comes_true_around_the_end_of_history(world: World) -> None:
    before, after = NEVER_DUE
    covered = [p for p in world.planted if p.covered]
    assert [p for p in covered if AS_OF - before < p.due_at - timedelta(minutes=50) < AS_OF] == []
    assert [p for p in covered if AS_OF < p.due_at < AS_OF + after] == []


def test_a_clock_that_runs_ahead_is_seen_in_the_envelopes(world: World, reading: Reading) -> None:
    (skew,) = [p for p in world.planted if p.category == "CLOCK_SKEW"]
    key = skew.subject.removeprefix("partner::")
    isa = reading.network["partners"][key]["ids"]["isa"][0]
    ahead = [s for s in reading.sets if s.sender == isa and s.at > s.arrived + timedelta(hours=2)]
    assert len(ahead) > 5
    others = [s for s in reading.sets if s.sender != isa and s.at > s.arrived]
    assert others == []


def test_one_correlation_id_ties_many_orders_and_no_other_more_than_one(reading: Reading) -> None:
    assert len(reading.correlations["0"]) > 60
    assert max(len(pos) for flow, pos in reading.correlations.items() if flow != "0") == 1


def test_outages_close_the_doors_for_longer_than_silence_is_borne(world: World) -> None:
    assert {o.door for o in world.outages} == {"erp", "portal", "wms_east"}
    for outage in world.outages:
        assert outage.end - outage.start >= limits.SILENT_AFTER + timedelta(hours=2)


def test_no_fault_lies_near_an_outage(world: World) -> None:
    for outage in world.outages:
        for fault in world.planted:
            if fault.covered and fault.category != "SOURCE_SILENT":
                near = outage.start - timedelta(hours=24) < fault.due_at
                assert not (near and fault.due_at < outage.end + timedelta(hours=24)), fault


# --- the comparison itself ------------------------------------------------------------------------


def planted(n: int, subject: str, *also: str, covered: bool = True, hours: float = 48) -> Planted:
    due = AS_OF - timedelta(hours=hours)
    return Planted(f"f-{n}", "ASN_MISSING", subject, covered, due, due, "because", also)


def test_a_case_on_any_line_of_an_order_finds_its_fault() -> None:
    faults = [planted(1, "po:main:1", "po_line:main:1:10", "po_line:main:1:20")]
    cases = [("ASN_MISSING", "po_line:main:1:10"), ("ASN_MISSING", "po_line:main:1:20")]
    result = score(faults, cases, AS_OF)
    assert (result.precision, result.recall, result.false, result.missed) == (1.0, 1.0, [], [])


def test_a_case_that_nobody_planted_is_a_false_alarm() -> None:
    result = score([planted(1, "po:main:1")], [("ASN_MISSING", "po:main:2")], AS_OF)
    assert result.false == [("ASN_MISSING", "po:main:2")]
    assert [p.subject for p in result.missed] == ["po:main:1"]
    assert (result.precision, result.recall) == (0.0, 0.0)


def test_the_right_order_under_the_wrong_category_is_a_false_alarm() -> None:
    result = score([planted(1, "po:main:1")], [("FA_OVERDUE", "po:main:1")], AS_OF)
    assert result.false == [("FA_OVERDUE", "po:main:1")]


def test_a_fault_that_came_true_just_now_need_not_be_found_but_may_be() -> None:
    fresh = planted(1, "po:main:1", hours=1)
    assert score([fresh], [], AS_OF).recall is None
    assert score([fresh], [("ASN_MISSING", "po:main:1")], AS_OF).false == []


def test_without_cases_there_is_no_precision() -> None:
    result = score([planted(1, "po:main:1")], [], AS_OF)
    assert (result.precision, result.recall) == (None, 0.0)


def test_faults_that_no_rule_covers_are_counted_apart() -> None:
    result = score([planted(1, "po:main:1", covered=False)], [], AS_OF)
    assert result.expected == 0
    assert result.not_covered == {"ASN_MISSING": 1}


@pytest.mark.long
def test_a_partner_that_stands_still_confirms_none_of_hundreds_of_orders(
    read_all: Callable[[World, Emissions], Reading],
) -> None:
    world = build(6, AS_OF, days=190, suppliers=60, pos_per_day=1)
    reading = read_all(world, world.advance(AS_OF))
    hit = {p.subject for p in world.planted if "stands still: it confirms" in p.why}
    assert len(hit) == 208
    due = [p.due_at for p in world.planted if p.subject in hit and p.category == "FA_OVERDUE"]
    assert len(due) == 208
    assert max(due) - min(due) < timedelta(minutes=30)
    expected = {(p.category, p.subject) for p in world.expected(AS_OF)}
    found = judge(reading, AS_OF) | quiet(reading, AS_OF)
    looked_for = {"FA_OVERDUE", "ACK_OVERDUE", "VOLUME_ANOMALY"}
    assert {one for one in found if one[0] in looked_for} == {
        one for one in expected if one[0] in looked_for
    }
    assert {subject for category, subject in found if category == "FA_OVERDUE"} >= hit
