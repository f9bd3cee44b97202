"""`tower ingest`: files of every format find their source, once, and hostile names do no harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance import shapes
from tests.acceptance.installation import Installation

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
PROMISED = shapes.promised()


def test_files_are_taken_once_however_often_they_are_brought(
    installed: Installation,
) -> None:
    folder = FIXTURES / "x12"
    first = installed.tower("ingest", folder, "--json")
    assert first.code == 0
    assert shapes.faults(first.json, PROMISED["ingest"]) == []
    n = len(list(folder.glob("*.edi")))
    assert (first.json["accepted"], first.json["repeated"]) == (n, 0)
    assert first.json["events"] > n
    assert {row["source"] for row in first.json["files"]} == {"edi"}
    again = installed.tower("ingest", folder, "--json").json
    assert (again["accepted"], again["repeated"], again["events"]) == (0, n, 0)
    story = installed.tower("show", "4500001234", "--json").json["story"]
    # Line 30 was refused, and the answer to the change names line 10 alone.
    assert story["document"]["answer"] == "part_accepted"
    assert {row["line"]: row["answer"] for row in story["lines"]}["30"] == "rejected"
    copy = installed.file("renamed.edi", (folder / "answer_855.edi").read_bytes())
    assert installed.tower("ingest", copy, "--json").json["repeated"] == 1


def test_files_of_every_format_find_their_source(install: Callable[..., Installation]) -> None:
    formats = FIXTURES / "formats"
    installed = install()
    installed.network.write_text((formats / "network.yaml").read_text())
    for name, source in {
        "855_answer.edi": "edi_in",
        "csv_eu_answers.csv": "supplier_csv",
        "erp_changes.json": "erp",
        "portal_activity.json": "portal",
        "middleware.jsonl": "middleware",
        "platform_placed.json": "platform",
        "wms_east_receipt.json": "wms_east",
        "wms_west_receipt.csv": "wms_west",
    }.items():
        partner = ["--partner", "OAKHURST-PUMPS"] if source == "supplier_csv" else []
        answer = installed.tower("ingest", formats / name, "--source", source, *partner, "--json")
        assert answer.code == 0, (name, answer)
        assert answer.json["events"] > 0, name


def test_a_file_of_an_unclear_source_is_asked_about_and_nothing_is_stored(
    installed: Installation,
) -> None:
    second = "sources:\n  edi_out: {kind: push, format: x12, system: gateway}\n"
    installed.network.write_text(installed.network.read_text().replace("sources:\n", second))
    clear = installed.file("bring/a.json", '{"number": "R-9"}')
    installed.file("bring/b.edi", (FIXTURES / "x12" / "answer_855.edi").read_bytes())
    answer = installed.tower("ingest", clear.parent, "--json")
    assert (answer.code, answer.out) == (5, "")
    assert "b.edi could belong to several sources: name one with --source (edi, edi_out)" in (
        answer.err
    )
    assert installed.tower("status", "--json").json["sources"][0]["newest_at"] is None
    assert installed.tower("show", "R-9").code == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--source", "edy"), '"edy" is not a source of the network; known are answers, edi,'),
        (("--partner", "ACMY"), '"ACMY" is not a partner of the network; known are ACME, BOLT.'),
        (("--partner", "BOLT"), "looks like x12, and no source of this partner brings that"),
    ],
)
def test_a_wrong_source_or_partner_is_told_with_those_there_are(
    installed: Installation, words: tuple[str, ...], said: str
) -> None:
    answer = installed.tower("ingest", FIXTURES / "x12" / "answer_855.edi", *words)
    assert (answer.code, answer.out) == (5, "")
    assert said in answer.err


def test_the_partner_of_a_file_can_be_told(installed: Installation) -> None:
    file = installed.file("a.csv", "po;line;qty;date;status;at\n77;10;5;2026-04-01;OK;2026-03-02\n")
    answer = installed.tower("ingest", file, "--partner", "BOLT", "--json")
    assert (answer.code, answer.json["events"]) == (0, 1)
    story = installed.tower("show", "po:main:77", "--json").json["story"]
    assert story["document"]["supplier"] == "BOLT"


def test_texts_of_partners_cannot_steer_the_terminal(installed: Installation) -> None:
    hostile = "po;line;qty;date;status;at\n[red]7\x1b[2J;10;5;2026-04-01;OK;2026-03-02\n"
    file = installed.file("\x1b[31m[bold]a.csv", hostile)
    answer = installed.tower("ingest", file, "--partner", "BOLT")
    assert "[bold]a.csv" in answer.out
    assert "\x1b" not in answer.out
    shown = installed.tower("unmatched")
    assert "[red]7" in shown.out
    assert "\x1b" not in shown.out
