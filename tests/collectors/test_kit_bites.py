"""The conformance kit itself: a reader with any of these faults does not pass it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from collectors import registry
from collectors.contract import Reader
from collectors.mapped import CsvInterpreter
from tests.collectors import conformance as kit
from tests.collectors.worlds import CsvFolder, LogWorld, RenamedFolder, RestWorld
from tower.network import Network, Source
from tower.raw import Batch, Budget, Interpretation, Mark, Raw

Spoil = Callable[[Reader, Mark | None, Budget, datetime], Iterator[Batch]]


class Spoilt:
    """A good reader behind a fault."""

    def __init__(self, reader: Reader, spoil: Spoil) -> None:
        self._reader = reader
        self._spoil = spoil

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        return self._spoil(self._reader, mark, budget, now)

    def settle(self, batch: Batch) -> None:
        self._reader.settle(batch)


def settles_before_it_is_stored(
    reader: Reader, mark: Mark | None, budget: Budget, now: datetime
) -> Iterator[Batch]:
    for batch in reader.read(mark, budget, now):
        reader.settle(batch)
        yield batch


def loses_the_last_message(
    reader: Reader, mark: Mark | None, budget: Budget, now: datetime
) -> Iterator[Batch]:
    for batch in reader.read(mark, budget, now):
        keep = max(0, len(batch.raws) - 1)
        yield replace(batch, raws=batch.raws[:keep], claims=batch.claims[:keep])


def changes_the_bytes(
    reader: Reader, mark: Mark | None, budget: Budget, now: datetime
) -> Iterator[Batch]:
    for batch in reader.read(mark, budget, now):
        yield replace(batch, raws=tuple(replace(r, body=r.body.strip()) for r in batch.raws))


def knows_no_budget(
    reader: Reader, mark: Mark | None, budget: Budget, now: datetime
) -> Iterator[Batch]:
    return reader.read(mark, Budget(messages=10**6), now)


def never_beats(
    reader: Reader, mark: Mark | None, budget: Budget, now: datetime
) -> Iterator[Batch]:
    for batch in reader.read(mark, budget, now):
        yield replace(batch, heartbeat=None)


def hides_its_faults(
    reader: Reader, mark: Mark | None, budget: Budget, now: datetime
) -> Iterator[Batch]:
    try:
        yield from reader.read(mark, budget, now)
    except Exception:
        return


def takes_any_bookmark(
    reader: Reader, mark: Mark | None, budget: Budget, now: datetime
) -> Iterator[Batch]:
    return reader.read(mark if mark and mark.version == 1 else None, budget, now)


def tells_its_secret(
    reader: Reader, mark: Mark | None, budget: Budget, now: datetime
) -> Iterator[Batch]:
    for batch in reader.read(mark, budget, now):
        told = {"authorization": RestWorld.secret or ""}
        yield replace(batch, raws=tuple(replace(r, headers=told) for r in batch.raws))


def gives_a_new_key_each_time(
    reader: Reader, mark: Mark | None, budget: Budget, now: datetime
) -> Iterator[Batch]:
    for batch in reader.read(mark, budget, now):
        yield replace(batch, raws=tuple(replace(r, key=f"{r.key} {now}") for r in batch.raws))


def spoilt(world: type[kit.World], spoil: Spoil) -> type[kit.World]:
    class SpoiltWorld(world):  # type: ignore[misc,valid-type]  # the class is chosen by the test
        def reader(self) -> Reader:
            return Spoilt(super().reader(), spoil)

    return SpoiltWorld


def bites(world: type[kit.World], check: kit.Check, tmp_path: Path, log: object) -> None:
    made = world(tmp_path)
    try:
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            check(made, log)  # type: ignore[arg-type]
    finally:
        made.close()


@pytest.mark.parametrize(
    ("world", "spoil", "check"),
    [
        (RenamedFolder, settles_before_it_is_stored, kit.a_kill_loses_and_doubles_nothing),
        (RenamedFolder, loses_the_last_message, kit.bytes_are_identical),
        (LogWorld, loses_the_last_message, kit.what_comes_later_is_read_too),
        (RenamedFolder, changes_the_bytes, kit.bytes_are_identical),
        (LogWorld, knows_no_budget, kit.the_budget_is_kept),
        (RenamedFolder, never_beats, kit.a_quiet_source_beats),
        (CsvFolder, hides_its_faults, kit.faults_are_mapped_to_families),
        (RestWorld, hides_its_faults, kit.faults_are_mapped_to_families),
        (LogWorld, takes_any_bookmark, kit.a_bookmark_of_another_version_is_refused),
        (RestWorld, tells_its_secret, kit.no_secret_is_kept_or_logged),
        (RenamedFolder, gives_a_new_key_each_time, kit.a_kill_loses_and_doubles_nothing),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_reader_with_this_fault_fails_this_check(
    world: type[kit.World],
    spoil: Spoil,
    check: kit.Check,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bites(spoilt(world, spoil), check, tmp_path, caplog)


def test_a_folder_that_takes_half_written_files_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Hasty(CsvFolder):
        ready = "renamed"  # but the sender of this world writes in place

    bites(Hasty, kit.half_written_input_is_not_read, tmp_path, caplog)


def test_an_interpreter_that_looks_outside_or_depends_on_its_version_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nosy(CsvInterpreter):
        def interpret(self, raw: Raw, net: Network, source: Source) -> Interpretation:
            with Path(__file__).open("rb"):
                return super().interpret(raw, net, source)

    class Versioned(CsvInterpreter):
        def interpret(self, raw: Raw, net: Network, source: Source) -> Interpretation:
            return super().interpret(replace(raw, key=f"{raw.key} {self.version}"), net, source)

    class Fragile(CsvInterpreter):
        def interpret(self, raw: Raw, net: Network, source: Source) -> Interpretation:
            raw.body.decode("ascii")
            return super().interpret(raw, net, source)

    for made, check in (
        (Nosy, kit.interpreting_is_pure),
        (Versioned, kit.event_ids_survive_another_version),
        (Fragile, kit.malformed_input_never_raises),
    ):
        monkeypatch.setitem(registry.INTERPRETERS, "csv", made())  # type: ignore[arg-type]
        bites(RenamedFolder, check, tmp_path / made.__name__, caplog)
