"""The chain from bytes to mail, walked both ways, in a number of questions that does not grow."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, event, insert, text

from db.ingest import store
from db.reads import stories
from db.reads.lineage import lineage, of_message
from db.tables import clock, exception_case, outbox
from tests.db.stories import NET, Teller, at, line, on, po, received, released
from tower.access import EVERYTHING, Scope
from tower.documents import Owners
from tower.identity import document_home
from tower.lineage import Graph, around, path
from tower.raw import Interpretation, Interpreted, Origin

NOW = at(900)
REF = "po:main:1"


def tell(conn: Connection, receipts: int = 1) -> tuple[str, str]:
    """An order, its answer with places, receipts, a clock, its case and a mail."""
    t = Teller()
    order = t.tell("po.released", released("1", line("10", "40", price="2.5")), hours=0)
    answer = t.tell(
        "po.acknowledged",
        {**po("1"), "answer": "accepted_with_changes", "lines": [line("10", "35")]},
        hours=5,
        system="edi",
    )
    places = {0: (Origin("lines[0].qty", "set 1 ACK*1 ACK02", 210, 2),)}
    read = Interpretation("x12", 3, events=answer.reading.events, origins=places)
    more = [
        t.tell("receipt.posted", received(f"R{n}", on("1", "10", "1")), hours=20 + n, system="wms")
        for n in range(receipts)
    ]
    store(conn, [order, Interpreted(answer.raw, read), *more], net=NET, now=NOW)
    home = document_home("po", "main", "1")
    subject = {"kind": "po", "scope": "main", "number": "1", "line": ""}
    shared: dict[str, Any] = {"rule": "po.unacknowledged", **subject}
    conn.execute(
        insert(clock),
        shared
        | {
            "home_key": home, "cycle": 1, "verdict": "breached", "open": False, "started_at": at(0),
            "due_at": at(4), "ended_at": at(5), "rule_hash": "x", "state": {"receipt": {}},
        },
    )  # fmt: skip
    case_id = conn.execute(
        insert(exception_case).returning(exception_case.c.id),
        shared
        | {
            "fingerprint": "f", "cycle": 1, "clock_cycle": 1, "category": "ACK_OVERDUE",
            "severity": "high", "state": "new", "level": "breach", "home_key": home, "title": "t",
            "owner": "kim", "owner_letter": "B", "policy": "p", "opened_at": at(4),
            "detected_at": at(4),
        },
    ).scalar_one()  # fmt: skip
    mail_id = conn.execute(
        insert(outbox).returning(outbox.c.id),
        {
            "dedup_key": "d", "policy": "p", "recipient": "kim", "address": "kim@x.example",
            "group_key": "g", "number": 1, "reason": "new", "subject": "PO 1 not answered",
            "message_id": "m", "message": b"", "cases": [case_id], "created_at": at(4),
            "state": "sent", "next_at": at(4),
        },
    ).scalar_one()  # fmt: skip
    return f"case:{case_id}", f"mail:{mail_id}"


def graph_of(conn: Connection, scope: Scope = EVERYTHING) -> Graph:
    story = stories.story(conn, scope, REF)
    assert story is not None
    return lineage(conn, scope, story, Owners.of(NET))


def test_every_link_leads_from_the_bytes_to_the_mail_and_back(connection: Connection) -> None:
    case, mail = tell(connection)
    graph = graph_of(connection)
    way = path(graph, "raw:erp/m1", mail)
    assert [graph.nodes[id_].step for id_ in way] == [
        "raw", "reading", "event", "field", "clock", "case", "mail",
    ]  # fmt: skip
    assert way[-2] == case
    back = around(graph, mail, depth=9)
    assert way[0] in back.nodes
    assert {edge.basis for edge in graph.edges if edge.other.startswith("clock:")} == {
        "starts",
        "ends",
    }


def test_a_field_stands_at_the_bytes_of_the_event_that_decided_it(connection: Connection) -> None:
    tell(connection)
    graph = graph_of(connection)
    field = "field:po_line:main:1:10#confirmed_qty"
    assert graph.nodes[field].label == "confirmed qty = 35"
    (cause,) = [edge for edge in graph.edges if edge.other == field]
    assert cause.basis == "decides"
    origin = graph.nodes[cause.one]
    assert (origin.label, origin.detail) == ("set 1 ACK*1 ACK02", "bytes 210 + 2, copied")
    assert path(graph, "raw:edi/m2", field)[-2] == origin.id


def test_quantities_name_all_that_added_up(connection: Connection) -> None:
    tell(connection, receipts=3)
    graph = graph_of(connection)
    field = "field:po_line:main:1:10#received_qty"
    bases = sorted(edge.basis for edge in graph.edges if edge.other == field)
    assert bases == ["decides", "told before", "told before"]


def test_the_number_of_questions_does_not_grow(connection: Connection) -> None:
    counted: list[int] = []

    def count(*_: Any) -> None:
        counted[-1] += 1

    tell(connection, receipts=20)
    story = stories.story(connection, EVERYTHING, REF)
    assert story is not None
    event.listen(connection, "before_cursor_execute", count)
    counted.append(0)
    lineage(connection, EVERYTHING, story, Owners.of(NET))
    event.remove(connection, "before_cursor_execute", count)
    assert counted == [5]  # ledger, readings, origins, records, mails


def test_hidden_fields_are_no_nodes(connection: Connection) -> None:
    tell(connection)
    seen = {id_ for id_ in graph_of(connection).nodes if "price" in id_}
    assert seen
    masked = graph_of(connection, Scope(reveals=frozenset()))
    assert not [id_ for id_ in masked.nodes if "price" in id_ or "value" in id_]


def test_a_message_leads_to_its_documents(connection: Connection) -> None:
    tell(connection)
    graph = of_message(connection, EVERYTHING, "edi", "m2")
    assert path(graph, "raw:edi/m2", "doc:po:main:1")
    assert of_message(connection, Scope(frozenset({"BOLT"})), "edi", "m2").nodes == {}


def test_a_walk_is_bounded(connection: Connection) -> None:
    tell(connection, receipts=5)
    graph = graph_of(connection)
    near = around(graph, "raw:erp/m1", depth=2)
    assert {node.step for node in near.nodes.values()} == {"raw", "reading", "event"}
    few = around(graph, "raw:erp/m1", depth=9, most=5)
    assert len(few.nodes) == 5
    assert few.left_out > 0
    assert connection.execute(text("SELECT 1")).scalar() == 1
