"""The command on an empty and on a filled installation: every answer, shape and exit code."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db import migrate
from tests.acceptance import shapes
from tests.acceptance.installation import SHIPPED_RULES, Installation
from tests.conftest import Databases
from worker import command

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"

COMMANDS = sorted(
    c.name or getattr(c.callback, "__name__", "") for c in command.app.registered_commands
)
GROUPED = sorted(
    f"{group.name} {c.name or getattr(c.callback, '__name__', '')}"
    for group in command.app.registered_groups
    if group.typer_instance is not None
    for c in group.typer_instance.registered_commands
)
QUESTIONS = ("overview", "orders", "risk", "cases", "queues", "mails", "unmatched", "status")
PROMISED = shapes.promised()


def texts(value: Any, name: str = "") -> list[tuple[str, str]]:
    """(key, text) of every text in an answer."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in texts(inner, key)]
    if isinstance(value, list):
        return [pair for inner in value for pair in texts(inner, name)]
    return [(name, value)] if isinstance(value, str) else []


def numbers(value: Any) -> list[int | float]:
    if isinstance(value, dict):
        return [n for inner in value.values() for n in numbers(inner)]
    if isinstance(value, list):
        return [n for inner in value for n in numbers(inner)]
    return [value] if isinstance(value, int | float) else []


# --- help and words -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*COMMANDS, *GROUPED])
def test_every_command_has_help_with_an_example(filled: Installation, name: str) -> None:
    answer = filled.tower(*name.split(), "--help")
    assert answer.code == 0
    said = " ".join(answer.out.split())
    assert re.search(rf"Example: tower {name}\b", said)


def test_the_command_alone_lists_all_commands(filled: Installation) -> None:
    answer = filled.tower()
    assert answer.code == 2
    for name in [*COMMANDS, "rules"]:
        assert re.search(rf"^  {name} ", answer.err, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nonsense", "No such command 'nonsense'"),
        ("case", "Missing argument"),
        ("case twelve", "valid integer"),
        ("orders --limit 0", "greater than or equal to 1"),
        ("orders --view late", "awaiting_ack"),
        ("orders --view awaiting", "write awaiting_ack"),
        ("cases --state closed", "open, resolved, all"),
        ("cases --severity hihg", "write high"),
        ("cases --category ACK_OVRDUE", "write ACK_OVERDUE"),
        ("risk --cause LATE", "write one of"),
        ("cases --josn", "--json"),
        ("ingest", "Missing argument"),
    ],
)
def test_wrong_words_are_told_with_what_fits(filled: Installation, words: str, said: str) -> None:
    answer = filled.tower(*words.split())
    assert answer.code == 2
    assert answer.out == ""
    assert said in answer.err
    assert "--help" in answer.err


# --- shapes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_empty_installation_answers_every_question(empty: Installation, name: str) -> None:
    answer = empty.tower(name, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert shapes.faults(answer.json, PROMISED[name]) == []
    shown = empty.tower(name)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.strip()


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_filled_installation_answers_as_the_page_says(filled: Installation, name: str) -> None:
    answer = filled.tower(name, "--json").json
    assert shapes.faults(answer, PROMISED[name]) == []
    # No worker runs here, so no process beats; groups are asked for by --by.
    empty = {"status": ["processes"], "risk": ["groups"]}
    assert shapes.empty_lists(answer, PROMISED[name]) == empty.get(name, [])
    shown = filled.tower(name)
    assert (shown.code, shown.err) == (0, "")


def test_every_command_with_json_has_its_shape_on_the_page() -> None:
    silent = {"up", "worker", "api", "ui", "network schema"}
    assert set(PROMISED) == {*COMMANDS, *GROUPED} - silent


def test_the_tests_of_the_rule_book_are_played(filled: Installation, tmp_path: Path) -> None:
    tests = Path(__file__).resolve().parents[1] / "rules"
    answer = filled.tower("rules", "test", tests / "po.rejected.yaml", "--json")
    assert (answer.code, answer.json["failures"]) == (0, [])
    assert shapes.faults(answer.json, PROMISED["rules test"]) == []
    wrong = tmp_path / "wrong.yaml"
    text = (tests / "source.silent.yaml").read_text(encoding="utf-8")
    wrong.write_text(text.replace("rules: [sla_rules.yaml]\n", "").replace("met_late", "met"))
    told = filled.tower("rules", "test", wrong)
    assert told.code == 1
    assert re.search(r"wrong\.yaml:\d+:\d+  .*verdict is met_late, expected met\n", told.out)
    assert filled.tower("rules", "test", tmp_path / "none.yaml").code == 3
    wrong.write_text("cases: 7\n")
    assert filled.tower("rules", "test", wrong).code == 5


def test_a_backtest_compares_another_book_with_the_one_in_force(
    filled: Installation, tmp_path: Path
) -> None:
    period = ("rules", "backtest", "--from", "2020-01-01", "--to", "2030-01-01", "--json")
    answer = filled.tower(*period)
    assert answer.code == 0
    assert shapes.faults(answer.json, PROMISED["rules backtest"] | {"compared": None}) == []
    assert answer.json["alerts"] >= 1
    assert answer.json["compared"] is None
    draft = tmp_path / "draft.yaml"
    draft.write_text(SHIPPED_RULES.read_text().replace("po.unacknowledged", "po.unanswered"))
    compared = filled.tower(*period, "--rules", draft).json
    assert shapes.faults(compared, PROMISED["rules backtest"]) == []
    assert {a["rule"] for a in compared["compared"]["added"]} == {"po.unanswered"}
    assert {a["rule"] for a in compared["compared"]["removed"]} == {"po.unacknowledged"}
    draft.write_text("version: 2\n")
    assert filled.tower(*period, "--rules", draft).code == 5
    assert filled.tower("rules", "backtest", "--from", "soon", "--to", "2030-01-01").code == 5
    assert filled.tower(*period, "--by", "moon").code == 2


def test_a_plan_tells_what_another_book_would_do(filled: Installation, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    text = SHIPPED_RULES.read_text()
    draft.write_text(text.replace("po.unacknowledged", "po.unanswered"))
    before = filled.tower("status", "--json").json["configuration"]["rules"]["hash"]
    plan = filled.tower("rules", "plan", draft, "--json")
    assert plan.code == 0
    assert shapes.faults(plan.json, PROMISED["rules plan"]) == []
    assert [(r["rule"], r["change"]) for r in plan.json["rules"]] == [
        ("po.unanswered", "added"),
        ("po.unacknowledged", "removed"),
    ]
    assert plan.json["clocks"]["ended"] >= 1
    assert plan.json["cases"]["closed_total"] >= 1
    assert filled.tower("rules", "plan", draft).code == 0
    draft.write_text("version: 2\n")
    assert filled.tower("rules", "plan", draft, "--activate").code == 5
    assert filled.tower("status", "--json").json["configuration"]["rules"]["hash"] == before


def test_a_plan_is_activated_on_request(installed: Installation, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text(SHIPPED_RULES.read_text().replace("within: 4bh", "within: 5bh"))
    first = installed.tower("rules", "plan", draft, "--activate")
    assert (first.code, "No rule book is in force yet" in first.err) == (5, True)
    installed.tower("answer", "4711", "--heard-from", "Ms Ng")  # takes the files in
    before = installed.tower("status", "--json").json["configuration"]["rules"]["hash"]
    answer = installed.tower("rules", "plan", draft, "--activate", "--json")
    assert (answer.code, answer.json["activated"]) == (0, True)
    assert [r["change"] for r in answer.json["rules"]] == ["judging"]
    after = installed.tower("status", "--json").json["configuration"]["rules"]
    assert (after["hash"] != before, after["problem"]) == (True, "")
    again = installed.tower("rules", "plan", "--json").json
    assert (again["rules"], again["activated"]) == ([], False)


def test_explain_tells_each_clock_of_an_order(filled: Installation) -> None:
    answer = filled.tower("rules", "explain", "4500007001", "--json").json
    assert shapes.faults(answer, PROMISED["rules explain"]) == []
    clock = next(c for c in answer["clocks"] if c["rule"] == "po.unacknowledged")
    assert clock["verdict"] == "breached"
    assert clock["receipt"] in (said := filled.tower("rules", "explain", "4500007001").out)
    assert clock["row"] in said
    nothing = filled.tower("rules", "explain", "4711471147")
    assert (nothing.code, nothing.out) == (3, "")


def test_show_gives_the_story_of_an_order(filled: Installation) -> None:
    answer = filled.tower("show", "4500007001", "--json").json
    assert shapes.faults(answer, PROMISED["show"]) == []
    assert answer["ref"] == "po:main:4500007001"
    assert answer["message"] is None
    story = answer["story"]
    assert {case["category"] for case in story["cases"]} == {"ACK_OVERDUE", "ASN_MISSING"}
    assert story["pegs"][0]["order"] == "SO-1"
    assert story["impacts"][0]["open_value"] == "600"
    assert story["document"]["value"] == "500"
    shown = filled.tower("show", "po:main:4500007001")
    assert shown.code == 0
    for words in ("Acknowledgement ladder", "FST-00201", "po.unacknowledged", "ACK_OVERDUE"):
        assert words in shown.out


@pytest.mark.parametrize(
    ("ref", "types"),
    [
        ("4500007002", {"po.released", "po.acknowledged", "receipt.posted"}),
        ("R-1", {"receipt.posted"}),
        ("SO-1", {"order.placed", "order.promised", "peg.set"}),
        ("po_line:main:4500007002:10", {"po.released", "po.acknowledged", "receipt.posted"}),
        (
            "x12:set:ZZ:BUYER/01:123456789/PO/2/1",
            {"po.released", "po.acknowledged", "receipt.posted"},
        ),
    ],
)
def test_show_opens_documents_of_every_kind_with_their_events(
    filled: Installation, ref: str, types: set[str]
) -> None:
    answer = filled.tower("show", ref, "--json")
    assert answer.code == 0
    assert shapes.faults(answer.json, PROMISED["show"]) == []
    assert {event["type"] for event in answer.json["story"]["events"]} == types
    assert filled.tower("show", ref).code == 0


def test_show_opens_a_raw_message_with_what_became_of_it(filled: Installation) -> None:
    letter = filled.tower("unmatched", "--json").json["dead_letters"][0]
    key = f"{letter['source']}/{letter['key']}"
    answer = filled.tower("show", key, "--json").json
    assert shapes.faults(answer, PROMISED["show"]) == []
    assert (answer["ref"], answer["story"]) == (f"raw:{key}", None)
    message = answer["message"]
    assert message["name"] == "cut.edi"
    body = base64.b64decode(message["body"])
    assert message["size"] == len(body) == 250
    assert message["sha256"] == hashlib.sha256(body).hexdigest()
    assert message["dead_letters"][0]["cause"] == letter["cause"]
    assert message["dead_letters"][0]["byte_offset"] is not None
    shown = filled.tower("show", key)
    assert "cut.edi, 250 bytes" in shown.out
    assert "BAK*00*AC*4500007001*" in shown.out


def test_show_lists_what_shares_a_name(filled: Installation) -> None:
    # Both answers to that order are known to nobody but themselves.
    told = filled.tower("show", "x12:group:01:123456789/ZZ:BUYER/PR/12", "--json").json
    assert len(told["found"]) >= 1
    assert all(found["ref"] for found in told["found"])


def test_case_tells_one_case_whole(filled: Installation) -> None:
    listed = filled.tower("cases", "--category", "ACK_OVERDUE", "--json").json
    assert listed["total"] == 1
    number = listed["cases"][0]["id"]
    answer = filled.tower("case", number, "--json").json
    assert shapes.faults(answer, PROMISED["case show"]) == []
    alone = {"parent", "children", "chain"}  # no shared cause, and no policy that escalates
    assert set(shapes.empty_lists(answer, PROMISED["case show"])) == alone
    assert answer["case"]["why"]["rule"] == "po.unacknowledged"
    shown = filled.tower("case", number)
    assert shown.code == 0
    for words in ("not acknowledged by Acme Fasteners", "next: Call the order desk", "SO-1"):
        assert words in shown.out


def test_lists_can_be_narrowed(filled: Installation) -> None:
    def totals(*words: str) -> int:
        answer = filled.tower(*words, "--json").json
        total = answer["total"]
        return int(total["rows"] if isinstance(total, dict) else total)

    assert totals("orders") == 2
    assert totals("orders", "--view", "awaiting_ack") == 1
    assert totals("orders", "--view", "answered_not_in_erp") == 1
    assert totals("orders", "--supplier", "BOLT") == 0
    assert totals("cases", "--supplier", "BOLT") == 0
    assert totals("cases", "--state", "all") == totals("cases") + totals(
        "cases", "--state", "resolved"
    )
    assert totals("cases", "--owner", "purchasing_desk") >= 1
    assert totals("risk", "--cause", "FA_OVERDUE") == 0
    assert len(filled.tower("cases", "--limit", "1", "--json").json["cases"]) == 1
    assert len(filled.tower("mails", "--recipient", "nobody", "--json").json["mails"]) == 0


def test_json_keeps_to_its_forms(filled: Installation) -> None:
    instants = decimals = 0
    for words in [[name] for name in QUESTIONS] + [["show", "4500007001"], ["case", "1"]]:
        answer = filled.tower(*words, "--json")
        for name, text in texts(answer.json):
            if name.endswith("_at") or name in ("at", "as_of"):
                assert datetime.fromisoformat(text).utcoffset() == timedelta(0), (name, text)
                instants += 1
            if name in ("open_value", "value_at_risk", "uncovered_qty", "qty"):
                assert re.fullmatch(r"-?\d+(\.\d+)?", text), (name, text)
                decimals += 1
        # Readers in other languages keep 53 bits.
        assert all(abs(number) < 2**53 for number in numbers(answer.json))
    assert instants > 50
    assert decimals > 10


# --- exit codes ---------------------------------------------------------------------------------


def test_what_is_not_there_exits_with_3(empty: Installation) -> None:
    for words in (("show", "4500000000"), ("case", 12)):
        answer = empty.tower(*words)
        assert (answer.code, answer.out) == (3, "")
        assert answer.err.strip()
    missing = empty.tower("ingest", empty.folder / "nowhere.edi")
    assert missing.code == 3
    assert "nowhere.edi does not exist" in missing.err


DATABASE_COMMANDS = [*QUESTIONS, "show 4500000000", "case 1", "ingest FILE", "worker"]


@pytest.mark.parametrize("words", [*DATABASE_COMMANDS, "migrate", "up"])
def test_a_database_that_is_away_exits_with_4_and_a_sentence(tmp_path: Path, words: str) -> None:
    away = Installation.make(tmp_path, database_url="postgresql://tower:s3cret@127.0.0.1:1/tower")
    answer = away.tower(*words.replace("FILE", str(away.network)).split())
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.startswith("The database does not answer")
    assert "tower doctor" in answer.err
    assert "Traceback" not in answer.err
    assert "s3cret" not in answer.err


def test_without_any_database_the_command_says_how_to_start_one(tmp_path: Path) -> None:
    answer = Installation.make(tmp_path).tower("cases")
    assert answer.code == 4
    assert "Start it with `tower up`" in answer.err


@pytest.mark.parametrize("words", DATABASE_COMMANDS)
def test_a_database_that_was_not_migrated_exits_with_5_and_the_next_step(
    unmigrated: Installation, words: str
) -> None:
    answer = unmigrated.tower(*words.replace("FILE", str(unmigrated.network)).split())
    assert (answer.code, answer.out) == (5, "")
    assert answer.err == 'The database is empty. Run "tower migrate" and start again.\n'


def test_migrate_tells_the_revisions_and_twice_changes_nothing(
    unmigrated_alone: Installation,
) -> None:
    first = unmigrated_alone.tower("migrate", "--json")
    assert first.code == 0
    assert first.json == {"before": None, "after": migrate.head(), "administrator_sql": []}
    again = unmigrated_alone.tower("migrate")
    assert again.out == f"Schema {migrate.head()} -> {migrate.head()}.\n"
    assert unmigrated_alone.tower("cases").code == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TOWER_DATABSE_URL": "x"}, "no such setting\n    next: write TOWER_DATABASE_URL"),
        ({"TOWER_SMTP_PORT": "smtp"}, "TOWER_SMTP_PORT  "),
        ({"TOWER_API_HOST": "0.0.0.0"}, "must be 127.0.0.1, ::1 or localhost"),  # noqa: S104
        ({"TOWER_BASE_URL": "tower"}, "https://tower.example.com"),
        ({"TOWER_SMTP_USER": "kim"}, "belong together"),
        ({"TOWER_SMTP_PASSWORD_FILE": "/no/such"}, "cannot be read"),
    ],
)
def test_a_wrong_setting_exits_with_5_and_names_it(
    empty: Installation, settings: dict[str, str], said: str
) -> None:
    for words in (["cases"], ["rules", "lint"], ["up"], ["worker"], ["migrate"]):
        answer = empty.tower(*words, **settings)
        assert (answer.code, answer.out) == (5, "")
        assert said in answer.err


def test_wrong_files_keep_the_tower_from_starting(tmp_path: Path) -> None:
    wrong = Installation.make(tmp_path)
    wrong.rules.write_text(wrong.rules.read_text().replace("kind: deadline", "kind: dedline", 1))
    answer = wrong.tower("up")
    assert answer.code == 5
    assert re.search(r"sla_rules\.yaml:\d+:\d+  rules\[po\.unacknowledged\]\.kind: ", answer.err)
    assert not (tmp_path / "home").exists()


# --- doctor -------------------------------------------------------------------------------------


def test_the_doctor_finds_a_sound_installation_fit(empty: Installation) -> None:
    answer = empty.tower("doctor", "--json")
    assert answer.code == 0
    assert shapes.faults(answer.json, PROMISED["doctor"]) == []
    assert answer.json["fit"] is True
    states = {check["name"]: check["state"] for check in answer.json["checks"]}
    assert states["settings"] == states["files"] == states["database"] == "ok"
    # Mails wait in the outbox: worth telling, nothing is broken.
    assert states["mail"] == "warn"
    assert empty.tower("doctor").code == 0


def test_the_doctor_tells_each_thing_that_is_broken_and_what_to_do(tmp_path: Path) -> None:
    broken = Installation.make(
        tmp_path,
        database_url="postgresql://tower@127.0.0.1:1/tower",
        smtp_host="127.0.0.1",
        smtp_port="1",
    )
    broken.rules.write_text("version: 1\n")
    answer = broken.tower("doctor", "--json")
    assert answer.code == 1
    assert answer.json["fit"] is False
    failed = {c["name"]: c for c in answer.json["checks"] if c["state"] == "fail"}
    assert set(failed) == {"files", "database", "mail"}
    assert "sla_rules.yaml:1:1" in failed["files"]["message"]
    assert all(check["next_step"] for check in failed.values())
    assert broken.tower("doctor").code == 1


def test_the_doctor_sees_a_database_without_the_schema(unmigrated: Installation) -> None:
    answer = unmigrated.tower("doctor", "--json")
    assert answer.code == 1
    (database,) = [c for c in answer.json["checks"] if c["name"] == "database"]
    assert (database["state"], database["next_step"]) == ("fail", "Run tower migrate.")


def test_the_doctor_finds_a_wrong_setting(empty: Installation) -> None:
    answer = empty.tower("doctor", "--json", TOWER_SMTP_PORT="0")
    assert answer.code == 1
    assert "TOWER_SMTP_PORT" in answer.json["checks"][-1]["message"]


# --- as a user runs it --------------------------------------------------------------------------


def test_the_installed_script_answers_like_the_function(filled: Installation) -> None:
    spawned = filled.spawn("cases", "--json")
    assert (spawned.code, spawned.err) == (0, "")
    answers = [spawned.json, filled.tower("cases", "--json").json]
    for case in answers[0]["cases"] + answers[1]["cases"]:
        case.update(age_s=None, open_hours_s=None)  # they run on between the two
    assert answers[0] == answers[1]
    assert filled.spawn("show", "nothing").code == 3
    assert filled.spawn("cases", "--severity", "big").code == 2


@pytest.fixture
def empty(empty_installation: Installation) -> Installation:
    return empty_installation


@pytest.fixture(scope="module")
def empty_installation(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A migrated database in which nothing ever happened. Tests only ask it."""
    name = databases.make(databases.template)
    yield Installation.make(tmp_path_factory.mktemp("empty"), database_url=databases.app_url(name))
    databases.drop(name)


def _without_schema(databases: Databases, name: str, folder: Path) -> Installation:
    return Installation.make(
        folder, database_url=databases.app_url(name), owner_url=databases.owner_url(name)
    )


@pytest.fixture(scope="module")
def unmigrated(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A database without tables. Tests only ask it."""
    name = databases.make(None)
    yield _without_schema(databases, name, tmp_path_factory.mktemp("unmigrated"))
    databases.drop(name)


@pytest.fixture
def unmigrated_alone(databases: Databases, tmp_path: Path) -> Any:
    """A database without tables, of this test's own."""
    name = databases.make(None)
    yield _without_schema(databases, name, tmp_path)
    databases.drop(name)
