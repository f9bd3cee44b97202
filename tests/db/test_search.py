"""One box for anything: ids first, then text in the bytes, and what was not searched is said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from db import payload_words
from db.ingest import store
from db.reads.search import Answer, find
from tests.db.stories import NET, Teller, at, message, released
from tower.access import EVERYTHING, Scope
from tower.raw import Interpreted

NOW = at(48)
MASKED = Scope(reveals=frozenset())
BODY = (
    b'{"po": "4500012345", "ref": "PO-4500012345/A", "price": 812.75, "lines": [{"qty": 40}],'
    b' "contact": "Kim Lee"}'
)


def put(conn: Connection, key: str, body: bytes, hours: float = 1, name: str = "") -> None:
    item = message(key, "erp", [], at(hours), body)
    item.raw.name = name
    store(conn, [item], net=NET, now=NOW)


def index(conn: Connection) -> None:
    part, more = payload_words.SLICE, True
    while more:
        done = payload_words.write_next(conn, NOW, part)
        part, more = done.slice, done.more


def keys(answer: Answer) -> list[str]:
    return [hit.key for hit in answer.hits or ()]


@pytest.mark.parametrize(
    "typed", ["4500012345", "po-4500012345", "PO-4500012345/A", "45000123", "kim lee", "Kim L"]
)
def test_text_is_found_with_its_place(connection: Connection, typed: str) -> None:
    put(connection, "m1", BODY)
    put(connection, "m2", b'{"po": "4500099999", "kim": "x", "lee": "y"}')
    index(connection)
    answer = find(connection, EVERYTHING, typed, NOW)
    (hit,) = answer.hits or ()
    assert (hit.key, hit.where) == ("m1", "payload")
    assert hit.offset is not None
    assert hit.length is not None
    assert BODY[hit.offset : hit.offset + hit.length].decode().lower() == typed.lower()
    assert typed.lower() in hit.excerpt.lower()


def test_a_compressed_message_and_its_file_name_are_found(connection: Connection) -> None:
    put(connection, "big", b"head " * 400 + b"needle-77 tail", name="ORDERS_2026_0042.edi")
    index(connection)
    assert connection.execute(text("SELECT encoding FROM raw_message")).scalar() == "zlib"
    (hit,) = find(connection, EVERYTHING, "NEEDLE-77", NOW).hits or ()
    assert hit.offset == 2000
    (named,) = find(connection, EVERYTHING, "orders_2026_0042.edi", NOW).hits or ()
    assert (named.where, named.excerpt) == ("name", "ORDERS_2026_0042.edi")


def test_ids_come_first_and_text_is_left_out_where_it_is_not_wanted(
    connection: Connection,
) -> None:
    t = Teller()
    store(connection, [t.tell("po.released", released("4711"), hours=0)], net=NET, now=NOW)
    put(connection, "other", b"speaks of 4711 too")
    index(connection)
    answer = find(connection, EVERYTHING, "4711", NOW, in_text="if_nothing_else")
    assert [one.ref for one in answer.found] == ["po:main:4711"]
    assert answer.hits is None
    assert answer.not_searched == ("The text of messages was not searched.",)
    assert keys(find(connection, EVERYTHING, "4711", NOW)) == ["other"]


def test_a_hit_tells_the_documents_of_its_message(connection: Connection) -> None:
    t = Teller()
    told = t.tell("po.released", released("4711"), hours=0)
    told.raw.body = b"order with mark zebra-9"
    store(connection, [Interpreted(told.raw, told.reading)], net=NET, now=NOW)
    index(connection)
    (hit,) = find(connection, EVERYTHING, "zebra-9", NOW).hits or ()
    assert hit.documents == ("po:main:4711",)


def test_what_an_answer_names_can_be_asked_for(connection: Connection) -> None:
    t = Teller()
    told = t.tell("message.sent", {"message": "m-77"}, hours=0, correlation="corr-77")
    store(connection, [told], net=NET, now=NOW)
    put(connection, "a/b", b"needle-77")
    index(connection)
    for name, ref in (
        ("corr-77", "id:corr-77"),
        ("id:corr-77", "id:corr-77"),
        ("raw:erp/a/b", "raw:erp/a/b"),
        ("erp/a/b", "raw:erp/a/b"),
    ):
        found = find(connection, EVERYTHING, name, NOW, in_text="never").found
        assert [one.ref for one in found] == [ref]


def test_what_was_not_searched_is_said(connection: Connection) -> None:
    put(connection, "old", b"needle-77", hours=1)
    before = find(connection, EVERYTHING, "needle-77", NOW)
    assert before.hits == ()
    assert "a worker does that" in before.not_searched[0]
    index(connection)
    short = find(connection, EVERYTHING, "needle-77", NOW, window=timedelta(hours=2))
    assert short.hits == ()
    assert any("received before" in said for said in short.not_searched)
    later = find(connection, EVERYTHING, "needle-77", NOW + timedelta(hours=3))
    assert keys(later) == ["old"]
    assert any("received after" in said for said in later.not_searched)
    assert "too short" in find(connection, EVERYTHING, "7", NOW).not_searched[0]


def test_masked_values_are_no_hits_and_stand_in_no_excerpt(connection: Connection) -> None:
    put(connection, "m1", BODY)
    index(connection)
    for hidden in ("812.75", "Kim Lee"):
        assert keys(find(connection, EVERYTHING, hidden, NOW)) == ["m1"]
        answer = find(connection, MASKED, hidden, NOW)
        assert answer.hits == ()
        assert "Values that are masked for you." in answer.not_searched
    assert "812.75" in (find(connection, EVERYTHING, "4500012345/A", NOW).hits or ())[0].excerpt
    (seen,) = find(connection, MASKED, '4500012345"', NOW).hits or ()
    assert "812.75" not in seen.excerpt
    assert "PO-4500012345" not in seen.excerpt  # a key that no list knows


def test_viewers_of_other_partners_find_nothing(connection: Connection) -> None:
    put(connection, "m1", BODY)
    index(connection)
    assert find(connection, Scope(frozenset({"BOLT"})), "4500012345", NOW).hits == ()


def test_too_many_candidates_are_told_not_hidden(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.reads.search.MOST_CANDIDATES", 2)
    monkeypatch.setattr("db.reads.search.WALKS", (2,))
    monkeypatch.setattr("db.reads.search.COMMON", 1.5)  # so that the words count as rare
    for n in range(4):
        put(connection, f"m{n}", b"alpha beta", hours=n)
    index(connection)
    answer = find(connection, EVERYTHING, "beta alpha", NOW)
    assert answer.hits == ()
    assert answer.more
    assert "were not looked at" in answer.not_searched[0]


def test_common_words_are_found_by_walking_the_newest_messages(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(7):
        put(connection, f"m{n}", b"alpha" if n % 3 else b"beta", hours=n)
    index(connection)
    plain = keys(find(connection, EVERYTHING, "alpha", NOW))
    assert plain == ["m5", "m4", "m2", "m1"]
    for walks, common in (((2, 2, 50), 0.0), ((2,), 0.0), ((2, 2), 0.6), ((7,), 0.0)):
        monkeypatch.setattr("db.reads.search.WALKS", walks)
        monkeypatch.setattr("db.reads.search.COMMON", common)
        answer = find(connection, EVERYTHING, "alpha", NOW)
        assert (keys(answer), answer.more) == (plain, False)
    two = find(connection, EVERYTHING, "alpha", NOW, limit=2)
    assert (keys(two), two.more) == (plain[:2], True)
    assert keys(find(connection, Scope(frozenset({"BOLT"})), "alpha", NOW)) == []


def test_latecomers_and_repeats_are_written_once(connection: Connection) -> None:
    put(connection, "m1", b"first one", hours=10)
    index(connection)
    put(connection, "late", b"latecomer", hours=9)
    assert payload_words.write_next(connection, NOW).messages == 0
    index(connection)
    swept = payload_words.write_next(connection, NOW + payload_words.SWEEP_EVERY)
    assert swept.messages == 0  # 39 hours ago: longer than is swept
    connection.execute(text("UPDATE text_mark SET upto = :at"), {"at": at(20)})
    assert payload_words.write_next(connection, NOW + payload_words.SWEEP_EVERY * 2).messages == 1
    assert connection.execute(text("SELECT count(*) FROM payload_text")).scalar() == 2
    connection.execute(text("DELETE FROM raw_message WHERE key = 'late'"))
    later = at(20) + timedelta(days=3)
    assert payload_words.forget_due(connection, later) == 1
    assert payload_words.forget_due(connection, later + timedelta(hours=23)) == 0
