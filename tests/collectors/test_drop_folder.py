"""Drop folders: who may put what there, when it is whole, where it goes. The rest is in the kit."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors.drop_folder import DropFolder
from collectors.dropped_files import MOST_LOOKS
from collectors.registry import interpret, reader_for
from tests.collectors.worlds import CSV_ANSWERS, network
from tower.errors import ConfigError, SourceUnavailable
from tower.network import Network
from tower.raw import MARK_LIMIT_BYTES, Batch, Budget, Mark

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def net_with(options: str, format_: str = "csv") -> Network:
    mapping = "mapping: answers" if format_ == "csv" else ""
    return network(
        f"sources:\n  feed: {{kind: drop_folder, format: {format_}, system: erp, "
        f"options: {{path: in, {options}}}, {mapping}}}",
        CSV_ANSWERS,
    )


class Folder:
    """A folder that is read as the worker does, second by second."""

    def __init__(self, base: Path, options: str = "ready: renamed", format_: str = "csv") -> None:
        self.net = net_with(options, format_)
        self.base = base
        self.path = base / "in"
        self.path.mkdir(exist_ok=True)
        self.now = NOW
        self.mark: Mark | None = None
        self.reader = self.new()

    def new(self) -> DropFolder:
        made = reader_for("feed", self.net.sources["feed"], self.net, {}, base=self.base)
        assert isinstance(made, DropFolder)
        return made

    def put(self, name: str, body: bytes = b"po;line\n", **times: Any) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return path

    def read(self, seconds: float = 0, *, settle: bool = True, **budget: Any) -> Batch:
        self.now += seconds * SECOND
        (batch,) = self.reader.read(self.mark, Budget(**budget), self.now)
        self.mark = batch.mark
        if settle:
            self.reader.settle(batch)
        return batch

    def names(self, batch: Batch) -> list[str]:
        return [raw.name for raw in batch.raws]

    def refusals(self, batch: Batch) -> dict[str, str]:
        found = {}
        for raw in batch.raws:
            if "refused" in raw.headers:
                assert raw.body == b""
                (letter,) = interpret(raw, self.net).dead_letters
                assert letter.advice
                assert raw.name in letter.cause
                found[raw.name] = letter.code
        return found


def test_a_read_file_goes_to_the_archive_of_its_day_and_nothing_is_overwritten(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path)
    for n in range(3):
        folder.put("a.csv", b"x;%d\n" % n)
        folder.read()
    kept = tmp_path / "in" / "done" / "2026" / "03" / "27"
    assert sorted(p.name for p in kept.iterdir()) == ["a.csv", "a~2.csv", "a~3.csv"]
    assert {p.read_bytes() for p in kept.iterdir()} == {b"x;0\n", b"x;1\n", b"x;2\n"}
    assert not list((tmp_path / "in" / ".claimed").iterdir())


def test_a_file_is_whole_when_two_looks_ten_seconds_apart_agree(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "ready: stable")
    path = folder.put("a.csv", b"x")
    assert not folder.read().raws
    assert not folder.read(9.9).raws
    with path.open("ab") as file:  # it still grows
        file.write(b"y")
    assert not folder.read(0.2).raws
    assert not folder.read(9.9).raws
    folder.reader = folder.new()  # the looks live in the bookmark, not in the process
    assert [raw.body for raw in folder.read(0.2).raws] == [b"xy"]


def test_a_file_of_the_same_size_that_was_written_anew_is_looked_at_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "ready: stable")
    path = folder.put("a.csv", b"one")
    os.utime(path, ns=(0, 1))
    folder.read()
    path.write_bytes(b"two")
    os.utime(path, ns=(0, 2))
    assert not folder.read(11).raws
    assert [raw.body for raw in folder.read(11).raws] == [b"two"]


def test_a_file_that_changes_between_look_and_claim_is_put_back(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "ready: stable")
    path = folder.put("a.csv", b"half")
    folder.read()
    with path.open("ab") as writer:
        batches = folder.reader.read(folder.mark, Budget(), folder.now + 11 * SECOND)
        real = os.rename

        def rename(*arguments: Any, **named: Any) -> None:
            real(*arguments, **named)
            if writer.tell() == len(b"half"):
                writer.write(b" whole")
                writer.flush()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "rename", rename)
            batch = next(iter(batches))
    assert not batch.raws
    assert path.read_bytes() == b"half whole"
    folder.mark = batch.mark
    assert not folder.read(30).raws  # its new state is seen for the first time
    assert [raw.body for raw in folder.read(11).raws] == [b"half whole"]


def test_more_waiting_files_than_a_bookmark_holds_are_read_in_turns(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "ready: stable")
    count = MOST_LOOKS + 150
    for n in range(count):
        folder.put(f"f{n:04d}.csv", b"%d" % n)
    names: list[str] = []
    for _ in range(12):
        batch = folder.read(3, messages=10_000)
        names += folder.names(batch)
        assert batch.mark is not None
        assert len(repr(dict(batch.mark.value))) < MARK_LIMIT_BYTES
    assert len(names) == len(set(names)) == count


def test_names_of_unfinished_and_hidden_files_and_others_patterns_are_left_alone(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path, "ready: renamed, pattern: ['*.csv', 'x*']")
    for name in ("a.csv", "b.csv.tmp", "c.PART", ".d.csv", "e.txt", "x1", "sub/f.csv"):
        folder.put(name, name.encode())
    assert sorted(folder.names(folder.read())) == ["a.csv", "x1"]
    assert (folder.path / "b.csv.tmp").exists()


def test_a_marker_belongs_to_the_file_it_was_put_after(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "ready: marker, marker: .ok")
    path = folder.put("a.csv", b"new")
    marker = folder.put("a.csv.ok", b"")
    os.utime(path, ns=(0, 2_000_000_000))
    os.utime(marker, ns=(0, 1_000_000_000))  # left over from an earlier file of that name
    assert not folder.read().raws
    os.utime(marker, ns=(0, 3_000_000_000))
    assert folder.names(folder.read()) == ["a.csv"]
    assert not marker.exists()


@pytest.mark.parametrize("ready", ["renamed", "stable"])
def test_what_is_no_plain_file_of_its_own_is_refused_and_put_aside(
    tmp_path: Path, ready: str
) -> None:
    folder = Folder(tmp_path, f"ready: {ready}, max_bytes: 1kB")
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    (folder.path / "link").symlink_to(secret)
    (folder.path / "loop").symlink_to("loop")
    os.mkfifo(folder.path / "pipe")
    os.link(secret, folder.path / "hard")
    folder.put("large", b"x" * 1001)
    folder.put("fits", b"x" * 1000)
    (folder.path / os.fsdecode(b"odd\xff.csv")).write_bytes(b"x")
    refused: dict[str, str] = {}
    bodies = []
    for _ in range(3):
        batch = folder.read(11)
        refused |= folder.refusals(batch)
        bodies += [raw.body for raw in batch.raws if raw.body]
    assert refused == {
        "link": "link",
        "loop": "link",
        "pipe": "not_a_file",
        "hard": "many_links",
        "large": "too_large",
        "odd\ufffd.csv": "bad_name",
    }
    assert bodies == [b"x" * 1000]
    assert secret.read_text() == "not yours"
    aside = folder.path / ".refused" / "2026" / "03" / "27"
    assert len(list(aside.iterdir())) == 6
    assert stat.S_IMODE(aside.stat().st_mode) == 0o700
    assert not folder.read(11).raws


def test_a_refused_thing_is_told_once_however_often_it_is_read(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (folder.path / "link").symlink_to("/nowhere")
    one = folder.read(settle=False)
    folder.reader = folder.new()
    again = folder.read()
    assert [raw.key for raw in one.raws] == [raw.key for raw in again.raws]


@pytest.mark.parametrize("name", [".claimed", "done", ".refused"])
def test_a_link_in_place_of_our_own_folders_leads_nowhere(tmp_path: Path, name: str) -> None:
    folder = Folder(tmp_path, "ready: renamed")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder.path / name).symlink_to(elsewhere)
    folder.put("a.csv", b"x")
    (folder.path / "link").symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="is no folder of its own"):
        folder.read()
    assert not list(elsewhere.iterdir())


def test_an_empty_file_is_a_message_that_cannot_be_read(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "ready: renamed, partner_from: folder")
    folder.put("ACME/a.csv", b"")
    (raw,) = folder.read().raws
    (letter,) = interpret(raw, folder.net).dead_letters
    assert (letter.code, letter.partner) == ("empty", "ACME")


@pytest.mark.parametrize(
    ("options", "name", "partner"),
    [
        ("partner_from: folder", "ACME/a.csv", "ACME"),
        ("partner_from: folder", "GHOST/a.csv", "GHOST"),
        ("partner_from: prefix", "ACME_1.csv", "ACME"),
        ("partner_from: prefix, separator: '-'", "ACME-1-2.csv", "ACME"),
        ("partner_from: prefix", "GHOST_1.csv", "GHOST"),
        ("partner_from: prefix", "plain.csv", None),
        ("partner_from: source", "ACME_1.csv", None),
    ],
)
def test_the_partner_is_told_by_folder_or_name(
    tmp_path: Path, options: str, name: str, partner: str | None
) -> None:
    folder = Folder(tmp_path, f"ready: renamed, {options}")
    folder.put(name)
    (raw,) = folder.read().raws
    assert raw.headers.get("partner") == partner
    assert raw.name == name
    if partner == "GHOST":
        assert interpret(raw, folder.net).dead_letters[0].code == "unknown_partner"


def test_files_of_the_same_name_of_two_partners_do_not_meet(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "ready: renamed, partner_from: folder")
    folder.put("ACME/a.csv", b"1")
    folder.put("BOLT/a.csv", b"2")
    folder.put("a.csv", b"3")
    assert {raw.name: raw.body for raw in folder.read().raws} == {
        "ACME/a.csv": b"1",
        "BOLT/a.csv": b"2",
        "a.csv": b"3",
    }
    day = folder.path / "done" / "2026" / "03" / "27"
    assert (day / "ACME" / "a.csv").read_bytes() == b"1"
    assert (day / "a.csv").read_bytes() == b"3"


def test_a_file_put_under_a_name_that_is_still_claimed_waits_its_turn(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put("a.csv", b"first")
    first = folder.read(settle=False)
    folder.put("a.csv", b"second")
    both = folder.read(settle=False)  # the claim is read again, the new file cannot be claimed yet
    assert [raw.body for raw in both.raws] == [b"first"]
    folder.reader.settle(first)
    assert [raw.body for raw in folder.read().raws] == [b"second"]


def test_claims_of_a_dead_process_are_read_first_by_the_next(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.put("a.csv", b"old")
    folder.read(settle=False)
    folder.reader = folder.new()
    folder.put("b.csv", b"new")
    batch = folder.read(messages=1)
    assert [raw.body for raw in batch.raws] == [b"old"]
    assert batch.more
    assert batch.heartbeat is None
    last = folder.read()
    assert [raw.body for raw in last.raws] == [b"new"]
    assert last.heartbeat is not None


def test_the_oldest_file_comes_first_and_the_byte_budget_is_kept(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for n, age in ((1, 30), (2, 10), (3, 20)):
        os.utime(folder.put(f"{n}.csv", b"%d" % n * 400), (0, age))
    batch = folder.read(bytes=900)
    assert folder.names(batch) == ["2.csv", "3.csv"]
    assert batch.more
    huge = folder.read(bytes=1)  # one message always goes, or nothing ever would
    assert folder.names(huge) == ["1.csv"]


def test_imported_history_is_received_when_its_files_were_written(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "ready: renamed, received: mtime")
    past = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
    os.utime(folder.put("old.csv", b"1"), (0, past.timestamp()))
    os.utime(folder.put("future.csv", b"2"), (0, (NOW + timedelta(days=9)).timestamp()))
    received = {raw.name: raw.received_at for raw in folder.read().raws}
    assert received == {"old.csv": past, "future.csv": NOW}
    assert (folder.path / "done" / "2026" / "01" / "05" / "old.csv").exists()


def test_a_snapshot_that_did_not_change_counts_anew_under_a_new_name(tmp_path: Path) -> None:
    plain, anew = Folder(tmp_path), Folder(tmp_path, "ready: renamed, identity: name_and_bytes")
    for folder, keys in ((plain, 1), (anew, 2)):
        for name in ("monday.csv", "tuesday.csv"):
            folder.put(name, b"same")
        assert len({raw.key for raw in folder.read().raws}) == keys


def test_a_folder_under_our_home_is_made_and_a_share_that_is_gone_is_not(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.path.rmdir()
    assert folder.read().heartbeat is not None
    assert folder.path.is_dir()
    net = network(
        f"sources:\n  feed: {{kind: drop_folder, format: x12, system: erp, "
        f"options: {{path: {tmp_path / 'share'}}}}}"
    )
    reader = reader_for("feed", net.sources["feed"], net, {}, base=tmp_path)
    with pytest.raises(SourceUnavailable, match="check that it is mounted"):
        next(iter(reader.read(None, Budget(), NOW)))
    assert not (tmp_path / "share").exists()


def test_the_media_type_follows_the_format(tmp_path: Path) -> None:
    folder = Folder(tmp_path, format_="x12")
    folder.put("a.edi", b"ISA")
    assert folder.read().raws[0].media_type == "application/edi-x12"
