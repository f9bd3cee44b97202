"""Files of the demo that nobody can read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from collectors import registry
from tests.acceptance.papers import answer
from tower.network import load_network
from tower.raw import Raw
from worker.demo import mishaps
from worker.demo.stage import Doors

NOW = datetime(2026, 3, 20, 14, 0, tzinfo=UTC)
NETWORK = """
version: 1
company: {name: Northwind, erp: main, zone: UTC, calendar: hq, currency: USD, isa: ["ZZ:BUYER"]}
systems: {edi: {name: EDI gateway, kind: edi}}
sources: {edi_in: {kind: push, format: x12, system: edi, silent_after: 12h}}
calendars: {hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}}
partners: {ACME: {name: Acme, zone: UTC, ids: {isa: ["01:123456789"]}}}
people: {desk: {name: Desk, mail: desk@example.com}}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""


def test_each_mishap_is_a_dead_letter_and_no_event(tmp_path: Path) -> None:
    net = load_network(NETWORK, "network.yaml")
    done = tmp_path / "doors" / "edi_in" / "done" / "2026" / "03" / "09"
    done.mkdir(parents=True)
    for n in range(mishaps.STRANGERS + mishaps.BROKEN + 1):
        paper = answer(f"45000000{n:02}", "20260309*1000", date="20260320", number=n + 1)
        (done / f"{n:03}.edi").write_text(paper)
    doors = Doors(tmp_path)
    assert mishaps.play(doors, NOW) == mishaps.STRANGERS + mishaps.BROKEN
    codes = []
    for path in sorted((doors.folder / "edi_in").glob("*.edi")):
        read = registry.interpret(Raw("edi_in", path.name, path.read_bytes(), NOW), net)
        assert read.events == ()
        codes += [letter.code for letter in read.dead_letters]
    assert sorted(codes) == ["truncated"] * mishaps.BROKEN + ["unknown_partner"] * mishaps.STRANGERS


def test_without_finished_files_nothing_goes_wrong(tmp_path: Path) -> None:
    doors = Doors(tmp_path)
    doors.prepare({"edi_in": None})
    assert mishaps.play(doors, NOW) == 0
