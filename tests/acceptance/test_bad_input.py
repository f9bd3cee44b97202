"""Bad input: what is wrong is told with place and next step, nothing is lost, others go on."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.main import create_app
from db import engine as engines
from db import ingest
from db.tables import checkpoint, dead_letter, document, event, ingest_ledger, raw_message
from tests.acceptance.installation import Installation
from tests.acceptance.papers import answer, interchange, order
from tests.acceptance.running import Running
from worker.configuration import Watched

NOON = datetime(2026, 3, 9, 16, 0, tzinfo=UTC)
GOOD_CSV = "po;line;qty;date;status;at\n{po};10;5;2026-04-01;OK;2026-03-09T10:00:00\n"


@pytest.fixture
def installation(install: Callable[..., Installation]) -> Installation:
    return install()


@pytest.fixture
def tower(installation: Installation) -> Iterator[Running]:
    engine = engines.create(installation.settings["TOWER_DATABASE_URL"])
    yield Running.start(engine, installation, NOON)
    engine.dispose()


def rows(tower: Running, table: Any, *conditions: Any) -> list[Any]:
    with tower.engine.connect() as conn:
        return list(conn.execute(select(table).where(*conditions)))


def states(tower: Running) -> dict[str, str]:
    return {row.source: row.state for row in rows(tower, checkpoint)}


# --- files --------------------------------------------------------------------------------------

CUT = answer("4500007001", "20260309*1130", date="20260401")[:250]
STRANGER = answer("4500007001", "20260309*1130", date="20260401").replace("123456789", "555555555")

BAD_FILES: dict[str, tuple[str, str, bytes | str, str, str, str]] = {
    # name: (folder, file, content, code, cause, advice)
    "an empty X12 file": ("edi", "a.edi", b"", "empty", "0 bytes", "Ask the sender"),
    "a cut X12 file": ("edi", "a.edi", CUT, "truncated", "byte", "whole"),
    "X12 without separators": (
        "edi", "a.edi", b"ISA" + b"0A" * 300, "no_delimiters", "byte 0", "ISA16",
    ),
    "no X12 at all": ("edi", "a.edi", b"%PDF-1.7 ...", "no_envelope", "'%PDF", "this feed"),
    "X12 in UTF-16": ("edi", "a.edi", CUT.encode("utf-16"), "undecodable", "UTF-16", "resend"),
    "X12 of an unknown partner": (
        "edi", "a.edi", STRANGER, "unknown_partner", "01:555555555", "network.yaml",
    ),
    "an empty CSV file": ("answers/BOLT", "a.csv", b"", "empty", "empty", "Ask the sender"),
    "CSV with another delimiter": (
        "answers/BOLT", "a.csv", GOOD_CSV.format(po=1).replace(";", ","),
        "wrong_delimiter", '","', "delimiter",
    ),
    "CSV of an unknown partner": (
        "answers/NOBODY", "a.csv", GOOD_CSV.format(po=1), "unknown_partner", "NOBODY", "network",
    ),
    "CSV with a word for a number": (
        "answers/BOLT", "a.csv", GOOD_CSV.format(po=1).replace(";5;", ";five;"),
        "bad_value", 'Row 2: lines[0].qty: "five"', "mapping",
    ),
    "a picture for a CSV": (
        "answers/BOLT", "a.csv", bytes(range(256)) * 8, "missing_column", '"po"', "mapping",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_a_dead_letter_with_cause_and_advice_and_the_others_are_read(
    tower: Running, installation: Installation, name: str
) -> None:
    folder, file, content, code, cause, advice = BAD_FILES[name]
    body = content if isinstance(content, bytes) else content.encode()
    tower.drop(f"inbox/{folder}", file, body)
    tower.drop("inbox/edi", "good.edi", order("4500007002", "20260309*1000", requested="20260401"))
    tower.drop("inbox/answers/BOLT", "good.csv", GOOD_CSV.format(po="4500007003"))
    for n in range(3):  # files without a marker are looked at twice
        tower.step(NOON + timedelta(minutes=11 * n))

    # The others went on.
    assert {d.number for d in rows(tower, document, document.c.kind == "po")} == {
        "4500007002",
        "4500007003",
    }
    assert set(states(tower).values()) <= {"up", "new"}
    # Nothing is lost: the bytes are kept as they came, and the file is put away.
    (letter,) = rows(tower, dead_letter)
    kept = rows(tower, raw_message, raw_message.c.key == letter.key)
    assert [ingest.body_of(raw) for raw in kept] == [body]
    assert not list((tower.settings.home / "inbox" / folder).glob(file))
    # What is wrong and what to do is told.
    assert letter.code == code
    assert cause in letter.cause
    assert advice in letter.advice
    assert letter.cause.strip().endswith(".")
    assert letter.advice.strip()
    assert letter.state == "open"
    told = installation.tower("unmatched", "--json").json
    assert [one["cause"] for one in told["dead_letters"]] == [letter.cause]
    assert installation.tower("status", "--json").json["backlog"]["dead_letters_open"] == 1


def test_sets_before_a_cut_are_read(tower: Running) -> None:
    sets = [f"855\nBAK*00*AC*450000700{n}*20260309*****20260309\nPO1*10*4*EA" for n in range(3)]
    whole = interchange("PR", *sets, when="20260309*1130")
    tower.drop("inbox/edi", "cut.edi", whole[: whole.index("4500007002") + 5])
    tower.step(NOON)
    assert {d.number for d in rows(tower, document, document.c.kind == "po")} == {
        "4500007000",
        "4500007001",
    }
    (letter,) = rows(tower, dead_letter)
    assert letter.code == "truncated"
    assert letter.byte_offset is not None


def test_one_bad_row_costs_that_row_alone(tower: Running) -> None:
    header, row = GOOD_CSV.format(po="77").splitlines()
    body = "\n".join([header, row, row.replace(";10;5;", ";20;many;"), row.replace("77", "78"), ""])
    tower.drop("inbox/answers/BOLT", "a.csv", body)
    for n in range(3):
        tower.step(NOON + timedelta(minutes=11 * n))
    lines = rows(tower, document, document.c.kind == "po_line")
    assert {(d.number, d.line) for d in lines} == {("77", "10"), ("78", "10")}
    (letter,) = rows(tower, dead_letter)
    assert "many" in letter.cause
    assert letter.position == "row:3"
    assert letter.partner == "BOLT"


def test_a_file_that_is_still_written_is_left_alone(tower: Running) -> None:
    text = answer("4500007001", "20260309*1130", date="20260401")
    inbox = tower.settings.home / "inbox"
    (inbox / "edi").mkdir(parents=True)
    half = inbox / "edi" / "a.edi.tmp"
    half.write_text(text[:200])
    # Without a marker: two equal looks are needed, and this one grows between them.
    (inbox / "answers" / "BOLT").mkdir(parents=True)
    growing = inbox / "answers" / "BOLT" / "a.csv"
    rest = GOOD_CSV.format(po="4500007003")
    for n, end in enumerate((10, 30, len(rest))):
        growing.write_text(rest[:end])
        tower.step(NOON + timedelta(minutes=11 * n))
        assert rows(tower, ingest_ledger) == []
    half.write_text(text)
    half.rename(half.with_suffix(""))
    tower.step(NOON + timedelta(minutes=44))
    assert rows(tower, dead_letter) == []
    assert {row.source for row in rows(tower, ingest_ledger)} == {"edi", "answers"}


def test_a_file_beyond_its_limit_is_put_aside_unread(tower: Running) -> None:
    inbox = tower.settings.home / "inbox" / "edi"
    inbox.mkdir(parents=True)
    with (inbox / "huge.edi").open("wb") as huge:
        huge.truncate(50_000_000)
    tower.drop("inbox/edi", "good.edi", order("4500007002", "20260309*1000", requested="20260401"))
    tracemalloc.start()
    tower.step(NOON)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
    assert [d.number for d in rows(tower, document, document.c.kind == "po")] == ["4500007002"]
    (letter,) = rows(tower, dead_letter)
    assert letter.code == "too_large"
    assert "huge.edi" in letter.cause
    assert letter.advice
    (aside,) = inbox.glob(".refused/**/huge.edi")
    assert aside.stat().st_size == 50_000_000


def test_a_partner_that_sends_hostile_texts_is_read_and_shown_as_it_is(
    tower: Running, installation: Installation
) -> None:
    po = "4500'; DROP TABLE document; --\N{PILE OF POO}\u202e"
    long = "9" * 3000
    body = GOOD_CSV.format(po=f'"{po}"') + GOOD_CSV.format(po=long).splitlines()[1] + "\n"
    tower.drop("inbox/answers/BOLT", "a.csv", body)
    for n in range(3):
        tower.step(NOON + timedelta(minutes=11 * n))
    numbers = {d.number for d in rows(tower, document, document.c.kind == "po")}
    letters = rows(tower, dead_letter)
    assert any("DROP TABLE" in number for number in numbers)
    assert len(numbers) + len(letters) == 2
    shown = installation.tower("orders")
    assert shown.code == 0
    assert "\u202e" not in shown.out


# --- the command --------------------------------------------------------------------------------


def test_the_command_tells_per_file_and_goes_on(installation: Installation) -> None:
    folder = installation.folder / "bring"
    good = order("4500007002", "20260309*1000", requested="20260401")
    for name, content in {
        "a_empty.edi": "",
        "b_cut.edi": CUT,
        "c_stranger.edi": STRANGER,
        "d_good.edi": good,
    }.items():
        installation.file(f"bring/{name}", content)
    answer = installation.tower("ingest", folder, "--source", "edi", "--json")
    assert answer.code == 1
    told = {Path(row["file"]).name: row for row in answer.json["files"]}
    assert [row["outcome"] for row in told.values()] == ["refused"] * 3 + ["accepted"]
    for row in list(told.values())[:3]:
        assert row["cause"].endswith(".")
        assert row["advice"]
    assert answer.json["refused"] == 3
    shown = installation.tower("ingest", folder, "--source", "edi")
    assert shown.code == 0  # known before: nothing new is wrong
    assert installation.tower("show", "4500007002").code == 0


def test_fifty_megabytes_of_nonsense_are_refused_by_the_command(
    installation: Installation,
) -> None:
    with installation.file("huge.csv", "").open("wb") as huge:
        huge.truncate(50_000_000)
    answer = installation.tower("ingest", installation.folder / "huge.csv", "--json")
    assert answer.code == 1
    (row,) = answer.json["files"]
    assert (row["outcome"], row["events"]) == ("refused", 0)
    assert row["cause"]
    assert row["advice"]


# --- pushes -------------------------------------------------------------------------------------


@pytest.fixture
def door(tower: Running) -> Iterator[TestClient]:
    with TestClient(create_app(tower.engine), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "kind", "body", "status", "code"),
    [
        ("events", "application/cloudevents+json", b'{"specversion": "1.0",', 400, "truncated"),
        ("events", "application/cloudevents+json", b'{"id" "1"}', 400, "invalid_json"),
        ("events", "application/cloudevents+json", b"", 400, "empty"),
        ("events", "application/cloudevents-batch+json", b"[{}, ", 400, "truncated"),
        ("documents/receipts", "application/json", b'{"number": ', 202, "truncated"),
        ("documents/receipts", "application/json", b"{'number': 1}", 202, "invalid_json"),
        ("documents/receipts", "application/json", b"", 202, "empty"),
        ("documents/receipts", "application/json", b"\xff\xfe{}", 202, "undecodable"),
        ("documents/receipts", "application/json", b"[" * 100_000, 202, "too_deep"),
    ],
)
def test_a_broken_push_is_kept_and_told(
    door: TestClient, tower: Running, path: str, kind: str, body: bytes, status: int, code: str
) -> None:
    told = door.post(
        f"/v1/{path}", content=body, headers={"content-type": kind, "x-tower-source": "erp"}
    )
    assert told.status_code == status
    if status == 202:
        (refused,) = told.json()["refused"]
        assert refused["cause"]
        assert refused["advice"]
    else:
        assert told.json()["error"]
        assert told.json()["next"]
    (letter,) = rows(tower, dead_letter)
    assert letter.code == code
    (raw,) = rows(tower, raw_message)
    assert ingest.body_of(raw) == body
    # The door still takes what is whole.
    good = {"number": "R-1", "at": "2026-03-09T10:00:00Z", "site": "EAST", "vendor": "ACME",
            "lines": [{"n": "1", "po": "4500007002", "line": "10", "qty": 1}]}  # fmt: skip
    assert door.post("/v1/documents/receipts", json=good).json()["accepted"] == 1


def test_fifty_megabytes_are_refused_at_the_door_and_nothing_of_them_is_kept(
    door: TestClient, tower: Running
) -> None:
    told = door.post("/v1/documents/receipts", content=(b"x" * 1_000_000 for _ in range(50)))
    assert told.status_code == 413
    assert "drop it as a file" in told.json()["next"]
    assert rows(tower, ingest_ledger) == []


def test_a_record_of_an_unknown_supplier_does_not_stop_its_batch(
    door: TestClient, tower: Running
) -> None:
    def released(po: str, supplier: str) -> dict[str, Any]:
        line = {"line": "10", "item": "A", "qty": 1, "price": "2"}
        data = {"erp": "main", "po": po, "supplier": supplier, "currency": "USD", "lines": [line]}
        return {"specversion": "1.0", "id": po, "source": "/erp", "type": "po.released",
                "time": "2026-03-09T14:00:00Z", "data": data}  # fmt: skip

    batch = [released("1", "17300001"), released("2", "99999999"), released("3", "BOLT")]
    told = door.post(
        "/v1/events",
        content=json.dumps(batch).encode(),
        headers={"content-type": "application/cloudevents-batch+json", "x-tower-source": "erp"},
    )
    assert told.status_code == 202
    assert told.json()["accepted"] == 2
    (refused,) = told.json()["refused"]
    assert refused["index"] == 1
    assert "99999999" in refused["cause"]
    assert "network.yaml" in refused["advice"]
    assert len(rows(tower, event)) == 2


# --- files of the house -------------------------------------------------------------------------


def test_a_wrong_rule_book_leaves_the_one_in_force_and_is_shown_until_it_is_mended(
    tower: Running, installation: Installation
) -> None:
    watched = Watched(tower.engine, installation.network, installation.rules)
    good = installation.rules.read_text()
    before = watched.refresh(NOON)
    installation.rules.write_text(good.replace("stop: asn.received", "stop: asn.recieved"))
    kept = watched.refresh(NOON + timedelta(minutes=1))
    assert kept.rules_hash == before.rules_hash
    assert kept.rulebook == before.rulebook

    # The tower goes on working by the rules in force.
    tower.drop("inbox/edi", "850.edi", order("4500007001", "20260309*1000", requested="20260401"))
    tower.step(NOON + timedelta(minutes=2))
    brought = installation.tower("ingest", installation.rules, "--source", "edi")
    assert brought.code == 1
    assert "what is in force is used; see tower status" in brought.err
    status = installation.tower("status", "--json").json["configuration"]
    assert status["rules"]["hash"] == before.rules_hash
    problem = status["rules"]["problem"]
    assert problem.startswith("sla_rules.yaml:")
    assert '"asn.recieved" is an unknown event' in problem
    assert "next: write asn.received" in problem
    assert "sla_rules.yaml" in status["network"]["problem"]
    shown = installation.tower("status").out
    assert "rules: the file was refused" in shown
    assert problem.splitlines()[0] in shown

    # Mended, with a change: it is taken over, and the problem is gone.
    installation.rules.write_text(good.replace("otherwise: 2bd", "otherwise: 3bd"))
    after = watched.refresh(NOON + timedelta(minutes=3))
    assert after.rules_hash != before.rules_hash
    status = installation.tower("status", "--json").json["configuration"]
    assert (status["rules"]["hash"], status["rules"]["problem"]) == (after.rules_hash, "")
    assert status["network"]["problem"] == ""


def test_names_that_the_network_lacks_refuse_a_rule_book(
    tower: Running, installation: Installation
) -> None:
    watched = Watched(tower.engine, installation.network, installation.rules)
    before = watched.refresh(NOON)
    good = installation.rules.read_text()
    installation.rules.write_text(good.replace("fallback: purchasing_desk", "fallback: nobody"))
    assert watched.refresh(NOON + timedelta(minutes=1)).rules_hash == before.rules_hash
    problem = installation.tower("status", "--json").json["configuration"]["rules"]["problem"]
    assert '"nobody" is nobody in the network' in problem


def test_a_wrong_network_keeps_the_feeds_in_force(
    tower: Running, installation: Installation
) -> None:
    watched = Watched(tower.engine, installation.network, installation.rules)
    before = watched.refresh(NOON)
    good = installation.network.read_text()
    installation.network.write_text(good.replace("system: gateway", "system: gatway"))
    kept = watched.refresh(NOON + timedelta(minutes=1))
    assert kept.network == before.network
    status = installation.tower("status", "--json").json["configuration"]
    assert status["network"]["problem"].startswith("network.yaml:")
    assert '"gatway" is not in systems' in status["network"]["problem"]
    installation.network.unlink()
    assert watched.refresh(NOON + timedelta(minutes=2)).network == before.network
    status = installation.tower("status", "--json").json["configuration"]
    assert "the file does not exist" in status["network"]["problem"]


def test_a_wrong_book_at_the_first_start_refuses_to_start(installation: Installation) -> None:
    installation.rules.write_text("version: 1\nrules: []\nrulez: []\n")
    for words in (["up"], ["worker"], ["ingest", installation.network]):
        answer = installation.tower(*words)
        assert answer.code == 5
        assert "sla_rules.yaml:3:1  rulez: is not known here" in answer.err
