"""A partner comes in: added to the file, taken in while all runs, checked by what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from api.doors import Doors
from db import engine as engines
from tests.acceptance import shapes
from tests.acceptance.installation import Installation
from tests.acceptance.papers import answer, interchange, order
from tests.acceptance.running import Running
from tower.errors import ConfigError
from worker.configuration import Watched

PROMISED = shapes.promised()
NOW = datetime.now(UTC).replace(microsecond=0)
THEM = "ZZ*NEWCO          "


@pytest.fixture
def engine_of(installed: Installation) -> Iterator[Engine]:
    made = engines.create(installed.settings["TOWER_DATABASE_URL"])
    yield made
    made.dispose()


def add(installed: Installation, *more: str) -> int:
    words = ("--name", "Newco Ltd", "--isa", "ZZ:NEWCO", "--vendor", "77")
    return installed.tower("partner", "add", "NEWCO", *words, *more).code


def test_add_writes_a_block_and_print_writes_nothing(installed: Installation) -> None:
    before = installed.network.read_text()
    installed.network.chmod(0o640)
    shown = installed.tower("partner", "add", "NEWCO", "--isa", "ZZ:NEWCO", "--print", "--json")
    assert shown.code == 0
    assert shapes.faults(shown.json, PROMISED["partner add"]) == []
    assert installed.network.read_text() == before
    assert not shown.json["written"]
    assert add(installed) == 0
    after = installed.network.read_text()
    assert "  NEWCO:\n    name: Newco Ltd\n" in after
    assert [row for row in before.splitlines() if row not in after.splitlines()] == []
    assert installed.network.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in installed.folder.iterdir() if p.name.startswith(".network")] == []
    again = installed.tower("partner", "add", "NEWCO")
    assert again.code == 5
    assert "partners.NEWCO: is there already" in again.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("add 9X", 2, "begins with a letter"),
        ("add X --template edi", 2, "--template"),
        ("add X --stage alive", 2, "write live"),
        ("add X --contact kim", 2, "two parts"),
        ("add X --feed nowhere", 5, '"nowhere" is not in sources'),
        ("add X --isa 01:123456789", 5, "already belongs to ACME"),
        ("add X --isa 123456789", 5, "is not an ISA identifier"),
        ("list --stage alive", 2, "write live"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_written(
    installed: Installation, words: str, code: int, said: str
) -> None:
    before = installed.network.read_text()
    told = installed.tower("partner", *words.split())
    assert told.code == code
    assert said in told.err
    assert installed.network.read_text() == before


def test_a_file_in_another_folder_reached_by_a_link_stays_a_link(installed: Installation) -> None:
    real = installed.file("elsewhere/n.yaml", installed.network.read_bytes())
    installed.network.unlink()
    installed.network.symlink_to(real)
    assert add(installed) == 0
    assert installed.network.is_symlink()
    assert "NEWCO" in real.read_text()


def test_the_checklist_fills_with_what_was_really_seen(
    installed: Installation, engine_of: Engine
) -> None:
    assert add(installed, "--no-asn") == 0
    begin = NOW - timedelta(days=2)
    tower = Running.start(engine_of, installed, begin)
    missing = installed.tower("partner", "check", "NEWCO", "--json")
    assert missing.code == 1
    assert shapes.faults(missing.json, PROMISED["partner check"]) == []
    states = {item["name"]: item["state"] for item in missing.json["items"]}
    assert states["identifiers"] == "done"
    assert states["order"] == states["answer"] == states["receipt_in"] == "open"
    assert states["asn"] == "not_asked"

    when = begin.strftime("%Y%m%d*%H%M")
    far = (NOW + timedelta(days=9)).strftime("%Y%m%d")
    out = order("4500008001", when, requested=far, number=1).replace("01*123456789      ", THEM)
    fa = interchange(
        "FA", "997\nAK1*PO*1\nAK2*850*0001\nAK5*A\nAK9*A*1*1*1", when=when, number=2, them=THEM
    )
    back = answer("4500008001", when, date=far, number=3).replace("01*123456789      ", THEM)
    tower.drop("inbox/edi", "850.edi", out)
    tower.drop("inbox/edi", "997.edi", fa)
    tower.drop("inbox/edi", "855.edi", back.replace("ACK*IA", "ACK*Q7"))
    tower.drop("inbox/edi", "cut.edi", back.replace("000000003", "000000004")[:200])
    tower.step(begin + timedelta(hours=1))
    told = installed.tower("partner", "check", "NEWCO", "--json").json
    items = {item["name"]: item for item in told["items"]}
    assert items["order"]["state"] == items["receipt_in"]["state"] == "done"
    assert items["connection"]["state"] == "done"
    assert items["order"]["count"] == 1
    assert items["codes"]["state"] == "wrong"
    assert "Q7" in items["codes"]["what"]
    assert not told["ready"]

    tower.drop("inbox/edi", "855b.edi", back.replace("000000003", "000000005"))
    tower.step(begin + timedelta(hours=2))
    items = {
        item["name"]: item
        for item in installed.tower("partner", "check", "NEWCO", "--json").json["items"]
    }
    assert items["answer"]["state"] == "done"
    shown = installed.tower("partner", "check", "NEWCO")
    assert "855 read" in shown.out
    assert "WRONG" in shown.out

    listed = installed.tower("partner", "list", "--json").json
    assert shapes.faults(listed, PROMISED["partner list"]) == []
    assert {p["key"]: p["stage"] for p in listed["partners"]} == {
        "NEWCO": "onboarding", "ACME": "live", "BOLT": "live"
    }  # fmt: skip
    assert listed["partners"][0]["open_documents"] == 1
    only = installed.tower("partner", "list", "--stage", "live", "--json").json
    assert {p["key"] for p in only["partners"]} == {"ACME", "BOLT"}


def test_a_partner_that_is_not_there_exits_with_3(
    installed: Installation, engine_of: Engine
) -> None:
    Running.start(engine_of, installed, NOW)
    told = installed.tower("partner", "check", "NOBODY")
    assert told.code == 3
    assert "Known are ACME, BOLT" in told.err


# --- taken in while the tower runs --------------------------------------------------------------


@pytest.fixture
def watching(
    installed: Installation, engine_of: Engine
) -> tuple[Watched, Doors, Callable[[str], None]]:
    """A worker's look at the files, the machine door, and a way to save the network file."""
    watched = Watched(engine_of, installed.network, installed.rules)
    doors = Doors(engine_of, network_age_s=0.0)

    def save(text: str) -> None:
        Path(installed.network).write_text(text)
        watched.refresh(NOW)

    watched.refresh(NOW)
    return watched, doors, save


def test_worker_and_door_take_a_changed_file_whole(
    installed: Installation, watching: tuple[Watched, Doors, Callable[[str], None]]
) -> None:
    watched, doors, _ = watching
    assert "NEWCO" not in doors.network().partners
    assert add(installed) == 0
    watched.refresh(NOW)
    assert watched.current is not None
    assert watched.current.network.partners["NEWCO"].stage == "onboarding"
    assert doors.network().partners["NEWCO"].stage == "onboarding"


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("  BOLT:", "  BOLT", "network.yaml:"),
        ("template: file", "template: fil", "partners.BOLT.template"),
        ("calendar: hq\n    ids: {erp_vendor: {main: \"17300002\"}}",
         "calendar: hq\n    ids: {erp_vendor: {main: \"17300001\"}}", "already belongs to ACME"),
    ],
)  # fmt: skip
def test_a_file_with_a_mistake_changes_nothing_and_is_told(
    installed: Installation,
    watching: tuple[Watched, Doors, Callable[[str], None]],
    old: str,
    new: str,
    place: str,
) -> None:
    watched, doors, save = watching
    good = installed.network.read_text()
    assert old in good
    # A good change in the same file is not taken in either: whole or not at all.
    save(good.replace("Acme Fasteners", "Renamed").replace(old, new))
    assert watched.current is not None
    for net in (watched.current.network, doors.network()):
        assert net.partners["ACME"].name == "Acme Fasteners"
    status = installed.tower("status", "--json").json["configuration"]["network"]
    assert place in status["problem"]
    assert "network.yaml:" in status["problem"]
    assert "next: " in status["problem"]
    assert place in installed.tower("status").out
    refused = installed.tower("partner", "check", "NEWCO")
    assert "was refused; tower status says why" in refused.err
    assert add(installed) == 5, "a file that is wrong is not added to"
    save(good.replace("Acme Fasteners", "Renamed"))
    assert doors.network().partners["ACME"].name == "Renamed"
    assert installed.tower("status", "--json").json["configuration"]["network"]["problem"] == ""


def test_a_file_that_goes_away_leaves_the_network_in_force(
    installed: Installation, watching: tuple[Watched, Doors, Callable[[str], None]]
) -> None:
    watched, doors, _ = watching
    installed.network.unlink()
    watched.refresh(NOW)
    assert "ACME" in doors.network().partners
    problem = installed.tower("status", "--json").json["configuration"]["network"]["problem"]
    assert "does not exist" in problem


def test_a_network_that_this_door_cannot_read_leaves_the_former_in_force(
    engine_of: Engine, watching: tuple[Watched, Doors, Callable[[str], None]]
) -> None:
    """A newer worker may put in force what an older door does not know yet."""
    _, doors, _ = watching
    assert "ACME" in doors.network().partners
    with engine_of.begin() as conn:
        conn.exec_driver_sql(
            "UPDATE active_config SET body = 'version: 2', hash = 'x' WHERE name = 'network'"
        )
    assert "ACME" in doors.network().partners
    with pytest.raises(ConfigError):
        Doors(engine_of).network()
