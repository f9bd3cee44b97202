"""Growing logs: rotation, cutting, long lines. The rest is in the kit."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collectors.log_file import MOST_FILES, LogFiles
from collectors.registry import interpret, reader_for
from tests.collectors.worlds import network
from tower.errors import ConfigError, SourceUnavailable
from tower.raw import MARK_LIMIT_BYTES, Batch, Budget, Mark

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


class Log:
    """A log that is read as the worker does."""

    def __init__(self, base: Path, pattern: str = "app*.log", options: str = "") -> None:
        self.net = network(
            f"sources:\n  feed: {{kind: log_file, format: cloudevents, system: erp, "
            f'options: {{path: "logs/{pattern}"{options}}}}}'
        )
        self.base = base
        self.folder = base / "logs"
        self.folder.mkdir(exist_ok=True)
        self.mark: Mark | None = None
        self.last: Batch | None = None
        self.keys: set[str] = set()
        self.again = 0

    @property
    def path(self) -> Path:
        return self.folder / "app.log"

    def write(self, *lines: str, end: str = "\n") -> None:
        with self.path.open("a", newline="") as file:
            file.write("\n".join(lines) + end)

    def read(self, **budget: Any) -> list[str]:
        """The new lines; those that were known are counted in ``again``."""
        source = self.net.sources["feed"]
        reader = reader_for("feed", source, self.net, {}, base=self.base)
        assert isinstance(reader, LogFiles)
        (batch,) = reader.read(self.mark, Budget(**budget), NOW)
        self.mark, self.last = batch.mark, batch
        new = []
        for raw in batch.raws:
            if raw.key in self.keys:
                self.again += 1
            else:
                new.append(raw.body.decode())
            self.keys.add(raw.key)
        return new


def test_a_log_that_is_renamed_is_read_to_its_end_and_the_new_one_from_its_start(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path)
    log.write("1", "2")
    assert log.read() == ["1", "2"]
    log.write("3")
    log.path.rename(log.folder / "app-1.log")
    log.write("4")
    assert sorted(log.read()) == ["3", "4"]
    assert log.again == 0


def test_a_log_that_is_copied_and_cut_loses_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("1", "2")
    assert log.read() == ["1", "2"]
    log.write("3")
    shutil.copy(log.path, log.folder / "app-1.log")
    log.path.write_text("")
    log.write("four", "5")
    assert sorted(log.read()) == ["3", "5", "four"]
    assert log.again == 0


def test_a_copy_beside_the_log_only_repeats_lines(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("1", "2")
    log.read()
    shutil.copy(log.path, log.folder / "app-copy.log")
    assert log.read() == []
    assert log.again == 2


def test_a_log_written_anew_behind_our_back_is_read_from_its_start(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("banner", "one", "two")
    log.read()
    # The same first line, the same length and more, other content.
    log.path.write_text("banner\nuno\ndos\ntres\n")
    assert log.read() == ["uno", "dos", "tres"]
    assert log.again == 1  # the banner


def test_the_same_line_twice_is_two_messages(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("same", "same")
    assert log.read() == ["same", "same"]


def test_only_complete_lines_are_read_and_blank_ones_are_none(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("first", "", "  ", "windows\r", "half", end="")
    assert log.read() == ["first", "windows\r"]
    log.write(" done")
    assert log.read() == ["half done"]
    assert log.read() == []


def test_nothing_is_read_before_the_first_line_is_complete(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("begun", end="")
    assert log.read() == []
    assert log.last is not None
    assert log.last.heartbeat is not None
    log.write("", end="\n")
    assert log.read() == ["begun"]


@pytest.mark.parametrize("complete", [True, False])
def test_a_line_that_is_too_long_is_refused_and_stepped_over(
    tmp_path: Path, complete: bool
) -> None:
    log = Log(tmp_path, options=", max_line_bytes: 1kB")
    log.write("short", "x" * 9_000_000, end="\n" if complete else "")
    if not complete:
        assert log.read() == ["short"]
        log.write("", end="\n")
    log.write("after")
    found = log.read()
    assert found == (["short", "", "after"] if complete else ["", "after"])
    assert log.last is not None
    (refused,) = (raw for raw in log.last.raws if not raw.body)
    (letter,) = interpret(refused, log.net).dead_letters
    assert letter.code == "line_too_long"
    assert "app.log from byte 6" in letter.cause


def test_the_budget_is_kept_over_several_files(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for n in range(3):
        (log.folder / f"app{n}.log").write_text(f"file {n}\n" + "line\n" * 9)
    total, reads = 0, 0
    while True:
        found = len(log.read(messages=7))
        assert found <= 7
        total += found
        reads += 1
        assert log.last is not None
        if not log.last.more:
            break
    assert (total, reads) == (30, 5)
    assert log.last.heartbeat is not None


def test_a_folder_that_was_away_for_a_moment_is_not_read_anew(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("1")
    log.read()
    log.path.rename(tmp_path / "away")
    assert log.read() == []
    (tmp_path / "away").rename(log.path)
    log.write("2")
    assert log.read() == ["2"]
    assert log.again == 0


def test_many_files_fit_into_the_bookmark_and_too_many_are_refused_in_words(
    tmp_path: Path,
) -> None:
    log = Log(tmp_path)
    for n in range(MOST_FILES):
        (log.folder / f"app{n}.log").write_text(f"{n}\n")
    assert len(log.read()) == MOST_FILES
    assert log.mark is not None
    assert len(repr(dict(log.mark.value))) < MARK_LIMIT_BYTES
    log.write("one more")
    with pytest.raises(ConfigError, match="Narrow the pattern"):
        log.read()


def test_a_missing_folder_elsewhere_is_unavailable(tmp_path: Path) -> None:
    net = network(
        f"sources:\n  feed: {{kind: log_file, format: cloudevents, system: erp, "
        f"options: {{path: {tmp_path / 'gone' / 'a.log'}}}}}"
    )
    reader = reader_for("feed", net.sources["feed"], net, {}, base=tmp_path)
    with pytest.raises(SourceUnavailable):
        list(reader.read(None, Budget(), NOW))
