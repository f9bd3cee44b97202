"""What docs/connect/edifact.md shows works as it is written there: folder, push and command."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from collectors import cloudevents, registry
from tower.network import Network, load_network
from tower.raw import Budget, Raw
from worker.commands.bring import _formats

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "connect" / "edifact.md").read_text(encoding="utf-8")


def block(start: str) -> str:
    (found,) = re.findall(rf"^```\w*\n({start}.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def network() -> Network:
    """The example network with the piece of the page put in."""
    described: dict[str, Any] = yaml.safe_load((ROOT / "network.yaml").read_text(encoding="utf-8"))
    for part, entries in yaml.safe_load(block("company")).items():
        described[part].update(entries)
    return load_network(yaml.safe_dump(described, sort_keys=False), "network.yaml")


def check(raw: Raw, net: Network) -> None:
    reading = registry.interpret(raw, net)
    assert (reading.dead_letters, reading.findings) == ((), ())
    (event,) = reading.events
    assert (event.type, event.partner, event.system) == ("po.acknowledged", "MILLBROOK", "edi")
    assert event.occurred_at == datetime(2026, 3, 2, 13, 30, tzinfo=UTC)
    assert [line["answer"] for line in event.data["lines"]] == [
        "accepted",
        "accepted_with_changes",
    ]


def test_the_message_it_shows_is_read_from_the_folder_it_describes(tmp_path: Path) -> None:
    net = network()
    folder = tmp_path / "inbox" / "edifact"
    folder.mkdir(parents=True)
    (folder / "answer.edi").write_text(block("UNB"))
    source = net.sources["edifact"]
    ready = source.model_copy(update={"options": {**source.options, "ready": "renamed"}})
    net = net.model_copy(update={"sources": {**net.sources, "edifact": ready}})
    reader = registry.reader_for("edifact", ready, net, {}, base=tmp_path)
    (raw,) = [raw for batch in reader.read(None, Budget(), NOW) for raw in batch.raws]
    assert raw.media_type == "application/edifact"
    check(raw, net)


def test_the_same_bytes_may_be_pushed() -> None:
    net = network()
    check(cloudevents.document("edifact", block("UNB").encode(), {}, NOW), net)


@pytest.mark.parametrize("head", ["", "UNA:+.? '\r\n", "\ufeff"])
def test_the_command_knows_such_a_file_by_its_first_bytes(tmp_path: Path, head: str) -> None:
    file = tmp_path / "answer.txt"
    file.write_text(head + block("UNB"), encoding="utf-8")
    assert _formats(file) == ("edifact",)


def test_an_identifier_of_unb_belongs_to_one_side_only() -> None:
    text = yaml.safe_load(block("company"))
    described = yaml.safe_load((ROOT / "network.yaml").read_text(encoding="utf-8"))
    for part, entries in text.items():
        described[part].update(entries)
    described["partners"]["ACME"]["ids"]["unb"] = ["4098765000010:14"]
    with pytest.raises(Exception, match='"4098765000010:14" already belongs to company'):
        load_network(yaml.safe_dump(described), "network.yaml")
