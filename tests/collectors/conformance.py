"""The conformance kit: what every collector must show, applied in one line.

    test_folder = collector_conformance(FolderWorld)

A *world* is a real source that a test can fill, repeat, half-fill, break and mend. The kit reads it
as the worker does, with a ledger and a bookmark that are written together, and can be killed at any
step. Time is an argument: nothing here sleeps.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from collectors import registry
from collectors.contract import Interpreter, Reader
from collectors.records import walk
from tower.errors import ConfigError, SourceUnavailable
from tower.network import Network
from tower.raw import MARK_LIMIT_BYTES, Batch, Budget, Heartbeat, Mark, Raw

START = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
PLENTY = Budget(messages=1000, bytes=50_000_000, seconds=60)


class World:
    """A source for the kit. Subclasses say how it is filled; ``source`` is its name.

    pace     how far time goes on between two reads
    secret   what must be seen nowhere, None if the source needs none
    faults   name of a fault -> the error family it must raise
    timeout  of its readers: less than a file can say while the fault is slowness, so that it costs
             the test little, and else more than the most loaded machine needs
    encoding of its text formats, to compare origins
    """

    source = "feed"
    pace = timedelta(seconds=11)
    secret: str | None = None
    faults: ClassVar[Mapping[str, type[Exception]]] = {}
    encoding = "utf-8"
    timeout = timedelta(seconds=30)
    short_timeout = timedelta(milliseconds=250)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.net = self.network()

    def network(self) -> Network:
        raise NotImplementedError

    def reader(self) -> Reader:
        """A new reader, as after a restart."""
        return registry.reader_for(
            self.source, self.net.sources[self.source], self.net, self.secrets(), base=self.folder
        )

    def secrets(self) -> Mapping[str, str]:
        return {}

    def content(self, n: int) -> bytes:
        """The bytes of the n-th message, different for each n."""
        raise NotImplementedError

    def put(self, n: int) -> None:
        """The n-th message arrives."""
        raise NotImplementedError

    def repeat(self, n: int) -> None:
        """The n-th message arrives once more."""
        raise NotImplementedError

    def put_half(self, n: int) -> None:
        """The n-th message begins to arrive."""
        raise NotImplementedError

    def put_rest(self, n: int) -> None:
        """The rest of it arrives."""
        raise NotImplementedError

    @contextlib.contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        """The source with one of ``faults``."""
        raise NotImplementedError
        yield

    def close(self) -> None:
        """Stop what was started."""


class Killed(BaseException):
    """The process dies here."""


class Tower:
    """The worker as far as a reader sees it: what is committed survives, all else is lost."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = START
        self.ledger: dict[str, Raw] = {}
        self.sightings = 0
        self.batches: list[Batch] = []
        self.beats: list[Heartbeat] = []
        self._mark: str | None = None
        self._reader = world.reader()

    @property
    def mark(self) -> Mark | None:
        return None if self._mark is None else Mark(**json.loads(self._mark))

    def restart(self) -> None:
        self._reader = self.world.reader()

    def read(self, budget: Budget = PLENTY, *, die: str = "") -> int:
        """One read; returns how many messages came. Dies at ``die``, and is then restarted."""
        self.now += self.world.pace
        came = 0
        try:
            for batch in self._reader.read(self.mark, budget, self.now):
                came += len(batch.raws)
                if die == "before commit":
                    raise Killed
                self._commit(batch)
                if die == "before settle":
                    raise Killed
                if die == "in settle":
                    self._reader.settle(
                        replace(batch, raws=batch.raws[:1], claims=batch.claims[:1])
                    )
                    raise Killed
                self._reader.settle(batch)
                self._reader.settle(batch)  # safe to repeat
        except Killed:
            self.restart()
        return came

    def drain(self, budget: Budget = PLENTY) -> None:
        """Read until nothing new has come twice."""
        quiet = 0
        for _ in range(200):
            before = len(self.ledger)
            self.read(budget)
            quiet = quiet + 1 if len(self.ledger) == before else 0
            if quiet == 3:
                return
        raise AssertionError("the source never comes to rest")

    def bodies(self) -> list[bytes]:
        return sorted(raw.body for raw in self.ledger.values())

    def events(self) -> dict[Any, Any]:
        """Every event by its id, as (type, time, data)."""
        found = {}
        for raw in self.ledger.values():
            reading = registry.interpret(raw, self.world.net)
            assert not reading.dead_letters, reading.dead_letters
            for event in reading.events:
                found[event.id] = (event.type, event.occurred_at, event.data)
        return found

    def _commit(self, batch: Batch) -> None:
        assert batch.source == self.world.source
        assert not batch.claims or len(batch.claims) == len(batch.raws)
        for raw in batch.raws:
            assert raw.source == self.world.source
            assert raw.received_at.utcoffset() == timedelta(0)
            self.sightings += raw.key in self.ledger
            self.ledger.setdefault(raw.key, raw)
        if batch.mark is not None:
            text = json.dumps({"version": batch.mark.version, "value": dict(batch.mark.value)})
            assert len(text) <= MARK_LIMIT_BYTES
            self._mark = text
        self.batches.append(batch)
        if batch.heartbeat is not None:
            self.beats.append(batch.heartbeat)


# --- checks of readers ----------------------------------------------------------------------------

Check = Callable[[World, pytest.LogCaptureFixture], None]


def bytes_are_identical(world: World, _: pytest.LogCaptureFixture) -> None:
    for n in range(5):
        world.put(n)
    tower = Tower(world)
    tower.drain()
    assert tower.bodies() == sorted(world.content(n) for n in range(5))


def what_comes_later_is_read_too(world: World, _: pytest.LogCaptureFixture) -> None:
    tower = Tower(world)
    for n in range(4):
        world.put(n)
        tower.drain()
    assert tower.bodies() == sorted(world.content(n) for n in range(4))


def a_kill_loses_and_doubles_nothing(world: World, _: pytest.LogCaptureFixture) -> None:
    tower = Tower(world)
    number = 0
    for die in ("before commit", "before settle", "in settle"):
        for _attempt in range(2):
            world.put(number)
            world.put(number + 1)
            number += 2
            for _read in range(3):
                tower.read(Budget(messages=3, bytes=10**6, seconds=60), die=die)
    tower.drain()
    assert tower.bodies() == sorted(world.content(n) for n in range(number))


def repeating_and_shuffling_give_the_same_events(world: World, _: pytest.LogCaptureFixture) -> None:
    for n in range(5):
        world.put(n)
    tower = Tower(world)
    tower.drain()
    first = tower.events()
    for n in (3, 0):
        world.repeat(n)
    tower.drain()
    assert tower.events() == first
    other = type(world)(world.folder / "other")
    try:
        for n in (4, 1, 3, 0, 2):
            other.put(n)
        again = Tower(other)
        again.drain()
        assert again.events() == first
    finally:
        other.close()


def half_written_input_is_not_read(world: World, _: pytest.LogCaptureFixture) -> None:
    world.put(0)
    tower = Tower(world)
    tower.drain()
    world.put_half(1)
    with contextlib.suppress(SourceUnavailable):
        tower.read()
    assert tower.bodies() == [world.content(0)]
    world.put_rest(1)
    tower.drain()
    assert tower.bodies() == sorted(world.content(n) for n in range(2))


def the_budget_is_kept(world: World, _: pytest.LogCaptureFixture) -> None:
    for n in range(7):
        world.put(n)
    tower = Tower(world)
    small = Budget(messages=2, bytes=10**6, seconds=60)
    tower.drain(small)
    assert max(len(batch.raws) for batch in tower.batches) <= 2
    assert tower.bodies() == sorted(world.content(n) for n in range(7))


def a_source_that_is_not_read_to_its_end_does_not_beat(
    world: World, _: pytest.LogCaptureFixture
) -> None:
    for n in range(7):
        world.put(n)
    tower = Tower(world)
    tower.read()
    tower.beats.clear()
    tower.batches.clear()
    tower.restart()
    tower.read(Budget(messages=2, bytes=10**6, seconds=60))
    for batch in tower.batches:
        assert batch.heartbeat is None or not batch.more


def a_quiet_source_beats(world: World, _: pytest.LogCaptureFixture) -> None:
    tower = Tower(world)
    for _read in range(3):
        tower.read()
        assert tower.beats
        beat = tower.beats[-1]
        assert beat.source == world.source
        assert beat.complete_to == beat.seen_at == tower.now


def faults_are_mapped_to_families(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.put(0)
    tower = Tower(world)
    tower.drain()
    world.put(1)
    for fault, family in world.faults.items():
        before = tower.mark
        world.timeout = world.short_timeout if fault == "slow" else World.timeout
        tower.restart()
        with world.broken(fault), pytest.raises(family) as caught:
            tower.read()
        assert tower.mark == before, fault
        assert len(str(caught.value)) > 40, f"{fault} says too little"
        if world.secret is not None:
            assert world.secret not in str(caught.value)
    world.timeout = World.timeout
    tower.restart()
    tower.drain()
    assert tower.bodies() == sorted(world.content(n) for n in range(2))


def a_bookmark_of_another_version_is_refused(world: World, _: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match="version"):
        list(world.reader().read(Mark(99, {"anything": 1}), PLENTY, START))


def no_secret_is_kept_or_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world.put(0)
    tower = Tower(world)
    tower.drain()
    assert tower.batches
    if world.secret is not None:
        assert world.secret not in repr(tower.batches)
        assert world.secret not in caplog.text
    names = {name for raw in tower.ledger.values() for name in raw.headers}
    assert not names & {"authorization", "cookie", "set-cookie", "x-api-key"}


# --- checks of interpreters -----------------------------------------------------------------------


def interpreting_is_pure(world: World, _: pytest.LogCaptureFixture) -> None:
    for raw in _raws(world):
        first = registry.interpret(raw, world.net)  # loads zone data, once
        with sealed():
            second = registry.interpret(raw, world.net)
            third = registry.interpret(raw, world.net)
            assert first == second == third
            assert dict(second.origins) == dict(third.origins)


def event_ids_survive_another_version(world: World, _: pytest.LogCaptureFixture) -> None:
    source = world.net.sources[world.source]
    interpreter = registry.interpreter_for(source)
    assert interpreter is not None
    next_one: Interpreter = type("Next", (type(interpreter),), {"version": 77})()
    for raw in _raws(world):
        now = interpreter.interpret(raw, world.net, source)
        then = next_one.interpret(raw, world.net, source)
        assert then.version == 77
        assert now.events == then.events
        assert now.events


def origins_decode_to_their_values(world: World, _: pytest.LogCaptureFixture) -> None:
    seen = 0
    for raw in _raws(world):
        reading = registry.interpret(raw, world.net)
        assert set(reading.origins) == set(range(len(reading.events)))
        for index, origins in reading.origins.items():
            data = reading.events[index].data
            named = {origin.field for origin in origins}
            for origin in origins:
                if origin.field == "*":  # all fields that are not named stand under their own name
                    seen += _check_others(origin, data, named, raw)
                else:
                    seen += _check_origin(origin, data, raw, world.encoding)
    assert seen


def malformed_input_never_raises(world: World, _: pytest.LogCaptureFixture) -> None:
    chance = random.Random(20260327)
    raws = _raws(world)
    bodies = [*GARBAGE]
    for raw in raws:
        for _round in range(40):
            bodies.append(_mutated(raw.body, chance))
    for body in bodies:
        reading = registry.interpret(replace(raws[0], body=body), world.net)
        assert all(letter.code != "crash" for letter in reading.dead_letters), (
            body[:200],
            reading.dead_letters,
        )
        for letter in reading.dead_letters:
            assert letter.cause
            assert letter.advice
        dict(reading.origins)


GARBAGE: Sequence[bytes] = (
    b"", b" ", b"\n\n", b"\x00" * 100, b"\xff\xfe\x00\x01", b"[", b"]", b"{}", b"[]", b"null",
    b"[[[[" * 500, b'{"a":' * 500, b'"', b'"""', b",,,,\n,,,,\n", b";" * 5000, b"NaN",
    b'{"a": NaN}', b'{"a": 1e999}', b"\xef\xbb\xbf", b"\xef\xbb\xbf{}", b"ISA", b"ISA*00*",
    b"<xml/>", "ünï©ødé\n\u2028".encode(), b"\r\r\r", b"a" * 100_000, b"1" * 10_000,
    b'{"value": [1, null, "x", [], {}]}', b'[{"specversion": "1.0"}]', b"%PDF-1.7 \x89PNG",
)  # fmt: skip


def _mutated(body: bytes, chance: random.Random) -> bytes:
    """The body with a few bytes cut, doubled, swapped or replaced."""
    data = bytearray(body)
    for _change in range(chance.randint(1, 4)):
        if not data:
            break
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                del data[at : at + chance.randint(1, 20)]
            case 1:
                data[at:at] = data[at : at + chance.randint(1, 20)]
            case 2:
                data[at] = chance.randrange(256)
            case _:
                data[at:at] = chance.choice([b'"', b"\x00", b"\n", b"{", b"]", b"~", b"*", b","])
    return bytes(data)


def _check_origin(origin: Any, data: Mapping[str, Any], raw: Raw, encoding: str) -> int:
    """1 if the origin could be compared with what it points to; it must then agree."""
    value = walk(data, origin.field.replace("[", ".").replace("]", ""))
    assert value is not None, origin
    if origin.how not in ("copied", "converted"):
        assert origin.rule, origin
    if origin.how != "copied":
        return 0
    if origin.offset is not None:
        text = raw.body[origin.offset : origin.offset + origin.length].decode(encoding)
        assert text == str(value), origin
        return 1
    if "$" in origin.element:
        path = origin.element.partition("$")[2].replace("[", ".").replace("]", "").strip(".")
        found = walk(orjson.loads(raw.body), path)
        assert str(found).strip() == str(value), origin
        return 1
    return 0


def _check_others(origin: Any, data: Mapping[str, Any], named: set[str], raw: Raw) -> int:
    """How many fields without an origin of their own were found where ``origin`` says."""
    inside = walk(orjson.loads(raw.body), origin.element.removeprefix("$.").removesuffix(".*"))
    seen = 0
    for field, value in data.items():
        if not isinstance(value, list):
            if field not in named:
                assert str(inside[field]).strip() == str(value), field
                seen += 1
            continue
        for n, line in enumerate(value):
            for name, item in line.items():
                if f"{field}[{n}].{name}" not in named:
                    assert str(inside[field][n][name]).strip() == str(item), name
                    seen += 1
    return seen


def _raws(world: World) -> list[Raw]:
    for n in range(3):
        world.put(n)
    tower = Tower(world)
    tower.drain()
    assert len(tower.ledger) == 3
    return list(tower.ledger.values())


READER_CHECKS: Sequence[Check] = (
    bytes_are_identical,
    what_comes_later_is_read_too,
    a_kill_loses_and_doubles_nothing,
    repeating_and_shuffling_give_the_same_events,
    half_written_input_is_not_read,
    the_budget_is_kept,
    a_source_that_is_not_read_to_its_end_does_not_beat,
    a_quiet_source_beats,
    faults_are_mapped_to_families,
    a_bookmark_of_another_version_is_refused,
    no_secret_is_kept_or_logged,
)
INTERPRETER_CHECKS: Sequence[Check] = (
    interpreting_is_pure,
    event_ids_survive_another_version,
    origins_decode_to_their_values,
    malformed_input_never_raises,
)
SAMPLER_CHECKS: Sequence[Check] = (
    a_quiet_source_beats,
    a_bookmark_of_another_version_is_refused,
)


def collector_conformance(
    world: type[World], *checks: Check
) -> Callable[[Check, Path, pytest.LogCaptureFixture], None]:
    """A test that applies ``checks`` (default: all) to a world, each to a fresh one."""
    chosen = checks or (*READER_CHECKS, *INTERPRETER_CHECKS)

    @pytest.mark.parametrize("check", chosen, ids=lambda check: check.__name__)
    def conforms(check: Check, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        made = world(tmp_path)
        try:
            check(made, caplog)
        finally:
            made.close()

    return conforms


# --- a process that may do nothing ----------------------------------------------------------------

# The thread that may do nothing; the servers of worlds go on in theirs.
_SEALED: int | None = None
_FORBIDDEN = ("open", "socket.", "subprocess.", "os.system", "os.listdir", "os.scandir", "shutil.")


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if threading.get_ident() == _SEALED and event.startswith(_FORBIDDEN):
        raise AssertionError(f"an interpreter did {event} {arguments[:1]}")


sys.addaudithook(_watch)


@contextlib.contextmanager
def sealed() -> Iterator[None]:
    """Files, sockets and processes raise; so do clocks and random numbers as far as Python lets
    them be replaced (test_registry.py looks for the rest in the source).
    """
    global _SEALED

    def refused(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == _SEALED:
                raise AssertionError("an interpreter looked at the clock or drew a random number")
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (time, "time"),
            (time, "time_ns"),
            (time, "sleep"),
            (random, "random"),
            (uuid, "uuid4"),
        ):
            patch.setattr(owner, name, refused(getattr(owner, name)))
        # What somebody else left behind may close files when it is collected: not now.
        collecting = gc.isenabled()
        gc.disable()
        _SEALED = threading.get_ident()
        try:
            yield
        finally:
            _SEALED = None
            if collecting:
                gc.enable()
