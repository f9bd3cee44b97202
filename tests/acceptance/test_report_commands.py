"""Scorecards and digests from the command line, over an installation that has lived three weeks."""

from __future__ import annotations

import email
from datetime import UTC, datetime
from email.policy import default
from pathlib import Path

import pypdfium2  # type: ignore[import-untyped]  # it ships no types
import pytest

from db import engine as engines
from tests.acceptance import shapes
from tests.acceptance.installation import Installation
from worker import configuration

PROMISED = shapes.promised()


def test_scorecards_are_told_as_the_page_says(filled: Installation) -> None:
    everybody = filled.tower("scorecard", "--json").json
    assert shapes.faults(everybody, PROMISED["scorecard"]) == []
    keys = [one["supplier"] for one in everybody["suppliers"]]
    assert keys
    # Two orders are too few for any figure: no score, never 0 or 100.
    assert {one["score"] for one in everybody["suppliers"]} == {None}
    assert everybody["answering"] is None
    first = filled.tower("scorecard", keys[0], "--compare", "before", "--json").json
    assert shapes.faults(first, PROMISED["scorecard"]) == []
    assert first["compared"][0]["id"] == "score"
    assert len(first["suppliers"][0]["trend"]) == 6
    assert first["answering"]["basis"] == ""
    assert first["answering"]["reason"].startswith("no data (")
    shown = filled.tower("scorecard", keys[0])
    assert "no data" in shown.out
    assert "What it is made of" in filled.tower("scorecard", keys[0], "--from", "2026-02").out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["scorecard", "NOBODY"], 3, "tower partner list"),
        (["scorecard", "--compare", "ACME"], 2, "name the supplier"),
        (["scorecard", "--from", "March"], 2, "write 2026-03-27, or a month"),
        (["scorecard", "--from", "2026-03-02", "--to", "2026-03-01"], 2, "after the last"),
        (["digest", "board"], 3, "name one of leaders"),
        (["digest", "--to", "kim"], 3, "name one of purchasing_lead"),
    ],
)
def test_what_is_not_there_is_said(
    filled: Installation, words: list[str], code: int, said: str
) -> None:
    answer = filled.tower(*words)
    assert answer.code == code
    assert said in " ".join(answer.err.split())


def test_pages_and_previews_are_files(filled: Installation, tmp_path: Path) -> None:
    file = tmp_path / "cards.pdf"
    assert filled.tower("scorecard", "--pdf", str(file)).code == 0
    document = pypdfium2.PdfDocument(file.read_bytes())
    assert "no data" in document[0].get_textpage().get_text_bounded()
    document.close()
    for name in ("d.html", "d.eml", "d.txt"):
        answer = filled.tower("digest", "--preview", str(tmp_path / name), "--json").json
        assert shapes.faults(answer, PROMISED["digest"]) == []
        assert len(answer["figures"]) == 5
    message = email.message_from_bytes((tmp_path / "d.eml").read_bytes(), policy=default)
    assert message["subject"] == answer["subject"]
    html = (tmp_path / "d.html").read_text(encoding="utf-8")
    assert "cid:" not in html
    assert answer["headline"] in html
    assert answer["headline"] in " ".join((tmp_path / "d.txt").read_text(encoding="utf-8").split())
    assert answer["headline"] in " ".join(filled.tower("digest").out.split())


def test_a_digest_asked_for_twice_is_sent_once(installed: Installation) -> None:
    assert installed.tower("scorecard").code == 0
    early = installed.tower("digest", "--send")
    assert early.code == 5
    assert "tower worker" in early.err
    engine = engines.create(str(installed.settings["TOWER_DATABASE_URL"]))
    configuration.activate(engine, installed.network, installed.rules, datetime.now(UTC))
    engine.dispose()
    first = installed.tower("digest", "--send", "--json").json["sent"]
    again = installed.tower("digest", "--send", "--json").json["sent"]
    assert [one["sent"] for one in (*first, *again)] == [True, False]
    assert first[0]["period"] == again[0]["period"]
    assert len(installed.tower("mails", "--json").json["mails"]) == 1
    assert "was made before" in installed.tower("digest", "--send").out
