"""Figures about cases, messages, queues and feeds, each by a small story and a plain reference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

import pytest
from sqlalchemy import Connection

from db import partitions
from db.reads import figures, subjects
from db.reads.filters import Filter, Period
from db.tables import case_note, dead_letter, event, queue_sample, raw_message, told
from tests.desk import NOW, Desk
from tower.access import EVERYTHING, Scope
from tower.calendars import Calendar
from tower.identity import item_key, own_event_id, partner_id, queue_key
from tower.kpis import Figure

MONTH = Filter(Period.last(30, NOW))
NOBODY = Scope(frozenset({"birch"}))


def ask(conn: Connection, kpi: str, narrowed: Filter = MONTH, scope: Scope = EVERYTHING) -> Figure:
    return figures.figure(conn, scope, kpi, narrowed, NOW)


def test_times_of_cases_are_told_in_our_open_hours_and_by_the_clock(
    connection: Connection,
) -> None:
    desk = Desk()
    spans = []
    for n in range(7):
        opened = desk.at(days=3 * n + 1, hours=n)
        taken = opened + timedelta(hours=5 * n + 1)
        ended = taken + timedelta(hours=2)
        spans.append((opened, taken, ended))
        desk.case(f"48{n}", opened=opened, first_taken_at=taken, resolved_at=min(ended, NOW))
    desk.case("489", opened=desk.at(days=2), resolved_at=desk.at(days=1))  # healed untaken
    aside: dict[str, Any] = {"resolved_at": desk.at(days=1), "resolution": "false_alarm"}
    desk.case("490", opened=desk.at(days=2), **aside)
    desk.write(connection)
    taken_in = [s for s in spans if s[1] < NOW]
    hq = Calendar("hq", desk.net.calendars["hq"])
    hours = [hq.between(opened, taken) / timedelta(hours=1) for opened, taken, _ in taken_in]
    mtta = ask(connection, "mtta")
    assert (mtta.n, mtta.outside) == (len(hours), {"healed_untaken": 2})
    assert mtta.value == pytest.approx(fmean(hours))
    lasted = [(min(ended, NOW) - opened) / timedelta(hours=1) for opened, _, ended in spans]
    ended_in = [one for one, span in zip(lasted, spans, strict=True) if span[2] < NOW]
    mttr = ask(connection, "mttr")
    assert (mttr.n, mttr.outside) == (len(ended_in) + 1, {"false_alarm": 1})
    assert mttr.value == pytest.approx(fmean([*ended_in, 24]))


def test_what_healed_alone_and_which_alerts_were_right(connection: Connection) -> None:
    desk = Desk()
    for n in range(14):
        number = f"49{n:02}"
        more = {"resolution": "healed"} if n < 9 else {"resolution": "repaired"}
        if n == 13:
            more = {"resolution": "healed", "verdict": "false_alarm"}
        case = desk.case(number, opened=desk.at(hours=40), resolved_at=desk.at(hours=9), **more)
        if n == 0:  # somebody wrote to it before it healed
            note = {"at": desk.at(hours=20), "author": "ann", "kind": "note", "text": "called"}
            desk.add(case_note, {"case_id": case, **note})
        if n in (1, 2):  # late evidence: the clock says it had come in time
            desk.clock(number, "met", desk.at(hours=41))
        what = {"policy": "business", "group_key": "", "what": "closed", "severity": "low"}
        desk.add(told, {"recipient": "ann", "case_id": case, "at": desk.at(hours=30), **what})
    desk.write(connection)
    alone = ask(connection, "auto_healed")
    assert (alone.numerator, alone.n) == (9, 14)  # eight of the first nine, and the last
    few = ask(connection, "alert_precision")
    assert (few.n, few.value, few.outside) == (7, None, {"unjudged": 7})
    assert few.reason == "no data (7 of 10)"
    page = subjects.subjects(connection, EVERYTHING, "alert_precision", MONTH, NOW)
    assert page.total == {"hit": 4, "miss": 3, "unjudged": 7}


def test_ages_of_open_cases_are_by_category_of_exceptions_and_now(connection: Connection) -> None:
    desk = Desk()
    for n, category in enumerate(("ACK_OVERDUE", "ACK_OVERDUE", "ASN_MISSING")):
        desk.case(f"50{n}", category=category, opened=desk.at(hours=10 * (n + 1)))
    desk.write(connection)
    assert ask(connection, "exception_age").value == pytest.approx(20)
    by = figures.figures_by(connection, EVERYTHING, "exception_age", "topic", MONTH, NOW)
    assert {t.key: t.figure.value for t in by} == {"ACK_OVERDUE": 15.0, "ASN_MISSING": 30.0}
    only = ask(connection, "open_exceptions", Filter(MONTH.period, topic="ASN_MISSING"))
    assert only.value == 1


def test_queues_and_feeds_are_seen_by_those_who_see_everything(connection: Connection) -> None:
    desk = Desk()
    desk.feed("edi", desk.at(minutes=7))
    desk.feed("portal", desk.at(hours=3))
    for minutes, total in ((50, 900), (10, 40)):
        desk.add(queue_sample, {"queue_key": queue_key("b", "in"), "broker": "b", "queue": "in",
                                "at": desk.at(minutes=minutes), "total": total})  # fmt: skip
    partitions.ensure_all(connection, "queue_sample", [NOW, desk.at(minutes=50)])
    desk.write(connection)
    depth = ask(connection, "queue_depth")
    assert (depth.value, depth.beside["highest"]) == (40, 900)
    fresh = ask(connection, "feed_freshness")
    assert fresh.n == 2
    assert fresh.value == pytest.approx(180)
    for kpi in ("queue_depth", "feed_freshness"):
        assert ask(connection, kpi, scope=NOBODY).value is None


def test_messages_count_once_their_hops_each(connection: Connection) -> None:
    desk = Desk()
    at = desk.at(days=2)
    for n in range(24):
        key = f"k{n}"
        _raw(desk, key, at)
        if n < 3:
            _letter(desk, key, at, "bad_value" if n < 2 else "crash")
        for k, type_ in enumerate(("message.received", "message.transformed", "message.sent")):
            _step(desk, n, type_, at + timedelta(seconds=n * k))
        if n < 5:
            _step(desk, n, "message.retried", at + timedelta(hours=1))
            _step(desk, n, "message.retried", at + timedelta(hours=2))
    partitions.ensure_all(connection, "raw_message", [at])
    desk.write(connection)
    errors = ask(connection, "partner_error_rate")
    assert (errors.numerator, errors.n, errors.missed) == (2, 24, True)
    assert (ask(connection, "retry_count").value, ask(connection, "retry_count").n) == (10, 5)
    hops = ask(connection, "hop_latency")
    assert (hops.n, hops.value) == (48, 11.5)  # the seconds are 0..23, each twice
    by = figures.figures_by(connection, EVERYTHING, "hop_latency", "topic", MONTH, NOW)
    assert {t.key: t.figure.n for t in by} == {
        "po: received > transformed": 24,
        "po: transformed > sent": 24,
    }


def _raw(desk: Desk, key: str, at: datetime) -> None:
    desk.add(raw_message, {"item_key": item_key("edi", key), "source": "edi", "key": key,
                           "received_at": at, "media_type": "x", "size": 1, "body": b"x",
                           "partner_id": partner_id("acme")})  # fmt: skip


def _letter(desk: Desk, key: str, at: datetime, code: str) -> None:
    desk.add(dead_letter, {"item_key": item_key("edi", key), "source": "edi", "key": key,
                           "kind": "interpret", "code": code, "cause": "", "advice": "",
                           "fingerprint": code, "received_at": at, "state_at": at,
                           "partner_id": partner_id("acme")})  # fmt: skip


def _step(desk: Desk, n: int, type_: str, at: datetime) -> None:
    desk.add(event, {"home_key": n, "event_id": own_event_id("mw", f"{n} {type_} {at}"),
                     "type": type_, "source": "mw", "raw_key": f"{n}", "position": "",
                     "occurred_at": at, "received_at": at, "time_quality": "exact",
                     "system": "mw", "partner_id": partner_id("acme"), "anchor": f"{n}",
                     "basis": "own", "correlation_id": None,
                     "data": {"message": f"m{n}", "po": f"{n}"}})  # fmt: skip


def test_what_a_figure_has_not_is_no_data_with_its_reason(connection: Connection) -> None:
    desk = Desk()
    desk.write(connection)
    told = ask(connection, "invoice_match", Filter(MONTH.period, buyer="ann"))
    assert (told.value, told.reason) == (None, "no data: invoices of this figure have no buyer")
    of = subjects.subjects(
        connection, EVERYTHING, "otif", Filter(MONTH.period, supplier="acme"), NOW,
        {"side": "customer"},
    )  # fmt: skip
    assert of.rows == ()
    assert of.reason.endswith("have no supplier")
    months = figures.course(
        connection, EVERYTHING, "otif", "month",
        Filter(Period(datetime(2026, 1, 15, tzinfo=UTC), NOW)), NOW,
    )  # fmt: skip
    assert [(m.key, m.figure.value) for m in months] == [
        ("2026-01-01", None), ("2026-02-01", None), ("2026-03-01", None),
    ]  # fmt: skip


def test_a_house_that_tells_of_no_receipts_has_no_data_rather_than_only_misses(
    connection: Connection,
) -> None:
    desk = Desk()
    for n in range(6):
        desk.po(f"51{n}")
        desk.line(f"51{n}", "10", requested_date=(NOW - timedelta(days=3)).date())
    desk.write(connection)
    otif = ask(connection, "otif")
    assert (otif.value, otif.n) == (None, 6)
    assert otif.reason == "no data: no feed has told of goods received yet"
    desk.po("519")
    desk.line("519", "10", goods_received_at=desk.at(days=1), received_qty=None)
    desk.write(connection)
    assert ask(connection, "otif").value == 0
