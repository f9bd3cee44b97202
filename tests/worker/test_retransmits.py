"""Documents of ours that go to their partner again: as they were, never what the partner has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from db import audit, replay_wishes, replays
from db.ingest import store_retrying
from db.replays import Replay
from db.tables import replay
from tests.collectors.sftp_server import PASSWORD, USER, SftpServer
from tower.access import EVERYTHING, Scope, scope_of
from tower.errors import AccessDenied
from tower.network import Network, load_network
from tower.raw import Interpretation, Interpreted, Raw
from tower.replays import RETRANSMIT, ReplayRefused
from tower.retransmits import SentFacts, verdict
from tower.vocabulary import make_event
from worker import pipeline, replay_effects
from worker import replays as work
from worker.replay_dry_run import check

NETWORK = """
version: 1
company: {name: Northwind, erp: main, zone: Europe/Berlin, calendar: hq, currency: EUR}
systems: {erp: {name: ERP, kind: erp}}
sources:
  out: {kind: push, format: json, system: erp, silent_after: 12h, mapping: orders, outlet: edi}
  told: {kind: push, format: cloudevents, system: erp, silent_after: 12h}
outlets:
  edi: {kind: folder, path: outbox/edi, partners: [ACME, BIRCH]}
calendars: {hq: {zone: Europe/Berlin, open: {mon-fri: ["08:00-17:00"]}}}
partners:
  ACME: {name: Acme, zone: Europe/Berlin, resend: same_control_number}
  BIRCH: {name: Birch, zone: Europe/Berlin}
  CEDAR: {name: Cedar, zone: Europe/Berlin, resend: same_control_number}
mappings:
  orders:
    format: json
    emit:
      - {event: po.released, when: {po: "*"}, time: at, supplier: vendor, fields: {po: po}}
people: {desk: {name: Desk, mail: desk@example.com}}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""


class House:
    """A tower whose orders leave by a folder; its clock goes on by a second a look."""

    def __init__(self, engine: Engine, base: Path, network: str = NETWORK) -> None:
        self.engine = engine
        self.base = base
        self.secrets = {"PW": PASSWORD}
        self.net: Network = load_network(network, "network.yaml")
        self.now = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        self.folder = base / "outbox" / "edi"
        self.folder.mkdir(parents=True)

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def order(self, number: str, vendor: str = "ACME") -> tuple[str, str]:
        body = orjson.dumps({"po": number, "vendor": vendor, "at": self.clock().isoformat()})
        raw = Raw("out", f"850-{number}", body, self.clock())
        pipeline.ingest_raws(self.engine, self.net, [raw], now=self.clock())
        return raw.source, raw.key

    def tell(self, type_: str, number: str, **more: Any) -> None:
        body = {"erp": "main", "po": number, "supplier": "ACME", **more}
        event = make_event(
            type_, body, occurred_at=self.clock(),
            source="told", raw_key=str(uuid4()), position="0", system="erp",
            answers=(f"po:main:{number}",) if type_ == "fa.received" else (),
        )  # fmt: skip
        raw = Raw("told", event.raw_key, b"{}", self.now)
        item = Interpreted(raw, Interpretation("test", 1, events=(event,)))
        store_retrying(self.engine, [item], net=self.net, now=self.now)

    def draft(
        self, *messages: tuple[str, str], reply: str = "", scope: Scope = EVERYTHING
    ) -> Replay:
        with self.engine.begin() as conn:
            made = replay_wishes.retransmit(
                conn, self.net, scope, messages, "kim", self.clock(), reply=reply
            )
        return check(
            self.engine, self.net, made.id, "kim", self.clock(), secrets=self.secrets,
            base=self.base,
        )  # fmt: skip

    def said(self, one: Replay) -> list[str]:
        with self.engine.connect() as conn:
            found = replays.items(conn, one.id)
        return [item.cause.partition(":")[0] or item.verdict for item in found]

    def states(self, one: Replay) -> list[str]:
        with self.engine.connect() as conn:
            return [item.state for item in replays.items(conn, one.id)]

    def confirm(self, one: Replay, count: int) -> Replay:
        with self.engine.begin() as conn:
            return replays.confirm(
                conn, one.id, count=count, sha256=one.sha256, reason="997 is missing",
                token=uuid4(), who="kim", now=self.clock(),
            )  # fmt: skip

    def approve(self, one: Replay, who: str) -> None:
        with self.engine.begin() as conn:
            replays.approve(conn, one.id, who, self.clock())

    def advance(self) -> None:
        self.now += timedelta(seconds=5)
        replay_effects.see_effects(self.engine, self.clock())
        work.advance(
            self.engine, self.net, "w1", self.clock(), secrets=self.secrets, clock=self.clock,
            base=self.base,
        )  # fmt: skip


@pytest.fixture
def house(database: Engine, tmp_path: Path) -> House:
    return House(database, tmp_path)


def test_the_original_bytes_go_out_once_with_a_second_person_and_an_entry_of_their_own(
    house: House,
) -> None:
    message = house.order("4500000001")
    one = house.draft(message)
    assert house.said(one) == ["repetition"]
    assert one.needs_approval == "it leaves the company"
    waiting = house.confirm(one, 1)
    assert waiting.state == "awaiting_approval"
    house.advance()
    assert list(house.folder.iterdir()) == []
    with pytest.raises(ReplayRefused, match="another person"):
        house.approve(one, "kim")
    house.approve(one, "lee")
    house.advance()
    (sent,) = house.folder.iterdir()
    assert orjson.loads(sent.read_bytes())["po"] == "4500000001"
    assert house.states(one) == ["awaiting_effect"]
    house.advance()
    assert len(list(house.folder.iterdir())) == 1
    house.tell("po.acknowledged", "4500000001")
    house.advance()
    assert house.states(one) == ["resolved"]
    with house.engine.connect() as conn:
        entries = audit.entries(conn, subject="message:out/850-4500000001")
        assert [(e.act.actor, e.act.action) for e in entries] == [("kim", "document.retransmitted")]
        assert entries[0].act.detail["approved_by"] == "lee"
        assert audit.verify(conn).broken_at is None


def test_no_path_leads_out_without_a_second_person_and_a_granted_right(house: House) -> None:
    one = house.draft(house.order("4500000001"))
    with pytest.raises(IntegrityError), house.engine.begin() as conn:
        conn.execute(
            replay.update().where(replay.c.id == one.id).values(state="running", needs_approval="")
        )
    support = scope_of("support", None)
    with pytest.raises(AccessDenied, match=r"replay\.act"):
        house.draft(house.order("4500000002"), scope=support)
    granted = scope_of("support", None, frozenset({"replay.act"}))
    assert house.draft(house.order("4500000003"), scope=granted).action == RETRANSMIT


def test_what_the_partner_has_is_flagged_and_never_goes(house: House) -> None:
    messages = [house.order(f"450000000{n}") for n in range(4)]
    house.tell("po.acknowledged", "4500000001")
    house.tell("po.cancelled", "4500000002")
    house.tell("message.delivered", "4500000003")
    one = house.draft(*messages)
    assert house.said(one) == ["repetition", "answered", "superseded", "repetition"]
    with house.engine.connect() as conn:
        assert "got there on" in replays.items(conn, one.id)[3].cause
    house.approve(house.confirm(one, 2), "lee")
    house.tell("po.acknowledged", "4500000000")  # before it went
    house.advance()
    assert list(house.folder.iterdir()) == []
    assert house.states(one)[0] == "skipped"


def test_the_partners_way_of_asking_is_kept(house: House) -> None:
    assert house.said(house.draft(house.order("4500000001", "BIRCH"))) == ["ask_partner"]
    asked = house.draft(("out", "850-4500000001"), reply="Mr Birch: it never came, please resend")
    assert house.said(asked) == ["repetition"]
    assert house.said(house.draft(house.order("4500000002", "CEDAR"))) == ["not_allowed"]
    with pytest.raises(ReplayRefused, match="leads out of the house"):
        house.draft(("told", "anything"))
    with pytest.raises(ReplayRefused, match="no message out nothing"):
        house.draft(("out", "nothing"))
    house.folder.rmdir()
    assert house.said(house.draft(house.order("4500000003"))) == ["unroutable"]


@pytest.fixture
def far(database: Engine, tmp_path: Path) -> Iterator[tuple[House, SftpServer]]:
    """The same, but its orders leave by a folder of an SFTP server."""
    server = SftpServer(tmp_path)
    server.is_writable = True
    gate = (
        f"  gate: {{kind: sftp, format: x12, system: erp, options: {{host: 127.0.0.1, "
        f'port: {server.port}, host_key: "{server.pin}", user: {USER}, password_variable: PW, '
        "path: in}}\noutlets:"
    )
    text = NETWORK.replace("outlets:", gate, 1).replace(
        "{kind: folder, path: outbox/edi,", "{kind: sftp, source: gate, path: outbox/edi,"
    )
    yield House(database, tmp_path, text), server
    server.close()


def test_a_document_leaves_by_sftp_whole_and_never_over_another(
    far: tuple[House, SftpServer],
) -> None:
    house, server = far
    one = house.draft(house.order("4500000001"))
    assert house.said(one) == ["repetition"]
    house.approve(house.confirm(one, 1), "lee")
    house.advance()
    (sent,) = house.folder.iterdir()
    assert orjson.loads(sent.read_bytes())["po"] == "4500000001"
    assert house.states(one) == ["awaiting_effect"]
    house.tell("po.acknowledged", "4500000001")
    house.advance()
    assert house.states(one) == ["resolved"]
    second = house.draft(house.order("4500000002"))
    taken = house.folder / f"tower-{second.id}-1-1.edi"
    taken.write_bytes(b"of somebody else")
    house.approve(house.confirm(second, 1), "lee")
    house.advance()
    assert house.states(second) == ["returned"]
    assert taken.read_bytes() == b"of somebody else"
    assert sorted(house.folder.iterdir()) == sorted([sent, taken])  # no part is left behind
    server.is_writable = False
    third = house.draft(house.order("4500000003"))
    house.approve(house.confirm(third, 1), "lee")
    house.advance()
    assert house.states(third) == ["returned"]
    server.stop()
    assert house.said(house.draft(house.order("4500000004"))) == ["target_down"]


def test_an_answer_of_the_server_that_is_lost_leaves_it_uncertain_and_sends_nothing_again(
    far: tuple[House, SftpServer],
) -> None:
    house, server = far
    one = house.draft(house.order("4500000001"))
    house.approve(house.confirm(one, 1), "lee")
    server.loses_renames = True
    house.advance()
    assert house.states(one) == ["uncertain"]
    server.loses_renames = False
    house.advance()
    assert house.states(one) == ["uncertain"]
    assert len(list(house.folder.iterdir())) == 1
    house.folder.rename(house.folder.with_name("gone"))
    assert house.said(house.draft(house.order("4500000002"))) == ["unroutable"]


def decide(house: House, one: Replay, n: int, *, arrived: bool) -> None:
    with house.engine.begin() as conn:
        replays.decide(
            conn, one.id, n, arrived=arrived, who="kim", why="asked by phone", now=house.clock()
        )


def test_what_no_partner_answers_is_uncertain_in_time_and_a_person_frees_it(house: House) -> None:
    message = house.order("4500000001")
    one = house.draft(message)
    house.approve(house.confirm(one, 1), "lee")
    house.advance()
    house.now += timedelta(hours=3)
    house.advance()
    assert house.states(one) == ["awaiting_effect"]
    with pytest.raises(ReplayRefused, match="waits for its effect until"):
        decide(house, one, 1, arrived=False)
    house.now += timedelta(hours=1)
    house.advance()
    with house.engine.connect() as conn:
        [item] = replays.items(conn, one.id)
        said = audit.entries(conn, subject=item.subject)[0].act
    assert (item.state, item.cause) == ("uncertain", "no effect was seen within 4 h")
    assert (said.actor, said.action) == ("tower", "item.uncertain")
    assert len(list(house.folder.iterdir())) == 1
    assert house.said(house.draft(message)) == ["claimed_elsewhere"]
    decide(house, one, 1, arrived=False)
    house.advance()
    with house.engine.connect() as conn:
        assert replays.get(conn, one.id).state == "done"
    assert house.said(house.draft(message)) == ["repetition"]


def test_what_arrived_waits_for_its_effect_as_long_again(house: House) -> None:
    one = house.draft(house.order("4500000001"))
    house.approve(house.confirm(one, 1), "lee")
    house.advance()
    house.now += timedelta(hours=5)
    decide(house, one, 1, arrived=True)  # before a worker looked
    house.now += timedelta(hours=3)
    house.advance()
    assert house.states(one) == ["awaiting_effect"]
    house.now += timedelta(hours=2)
    house.advance()
    assert house.states(one) == ["uncertain"]
    # However late it comes, its effect decides.
    house.tell("po.acknowledged", "4500000001")
    house.advance()
    assert house.states(one) == ["resolved"]


def test_what_went_ahead_without_effect_holds_the_rest_until_a_person_decides(
    house: House,
) -> None:
    one = house.draft(house.order("4500000001"), house.order("4500000002"))
    house.approve(house.confirm(one, 2), "lee")
    house.advance()
    house.now += timedelta(hours=5)
    house.advance()
    assert house.states(one) == ["uncertain", "ready"]
    decide(house, one, 1, arrived=False)
    house.advance()
    assert house.states(one) == ["returned", "cancelled"]
    assert len(list(house.folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"confirmed": ("accepted",)}, "confirmed"),
        ({"confirmed": ("accepted_with_errors",)}, "confirmed"),
        ({"confirmed": ("accepted", "rejected")}, "refused_before"),
        ({"policy": "new_control_number"}, "new_control_number"),
        ({"types": frozenset({"po.acknowledged"})}, "not_sent_by_us"),
        ({"partner": ""}, "unknown_partner"),
        ({"has_payload": False}, "payload_expired"),
        ({"same_as": 1}, "same_bytes"),
        ({"claimed_by": 7}, "claimed_elsewhere"),
        ({"outlet": "down"}, "target_down"),
        ({}, "repetition"),
    ],
)
def test_each_reason_against_it_has_its_word(more: dict[str, Any], word: str) -> None:
    facts = {"types": frozenset({"po.released"}), "partner": "ACME",
             "policy": "same_control_number"} | more  # fmt: skip
    assert verdict(SentFacts(**facts)).cause.partition(":")[0] == word
