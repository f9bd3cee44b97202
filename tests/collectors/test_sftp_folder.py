"""An SFTP folder over a real server: claims, reading in place, pinned keys, both proofs."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import paramiko
import pytest

from collectors import registry
from tests.collectors import recipes
from tests.collectors.conformance import PLENTY, START, Tower, World, collector_conformance
from tests.collectors.sftp_server import PASSWORD, USER, SftpServer
from tests.collectors.worlds import CSV_ANSWERS, CsvFolder, network
from tower.errors import AccessDenied, ConfigError, SourceUnavailable
from tower.network import Network
from tower.raw import Batch, Mark


class SftpWorld(CsvFolder):
    """Files on a server whose account may rename."""

    faults: ClassVar[Mapping[str, type[Exception]]] = {
        "server gone": SourceUnavailable,
        "folder gone": SourceUnavailable,
        "password changed": AccessDenied,
        "key exchanged": AccessDenied,
    }
    secret = PASSWORD
    read_only = False
    claim = "auto"

    def network(self) -> Network:
        (self.folder / "in" / "ACME").mkdir(parents=True, exist_ok=True)
        self.server = SftpServer(self.folder)
        self.server.is_read_only = self.read_only
        return network(
            f"""
sources:
  feed:
    kind: sftp
    format: csv
    system: erp
    mapping: answers
    options:
      host: 127.0.0.1
      port: {self.server.port}
      host_key: {self.server.pin}
      user: {USER}
      password_variable: PARTNER_PASSWORD
      path: in
      claim: {self.claim}
      partner_from: folder
      ready: {self.ready}
""",
            CSV_ANSWERS,
        )

    def secrets(self) -> Mapping[str, str]:
        return {"PARTNER_PASSWORD": PASSWORD}

    @contextlib.contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        server = self.server
        kept = server.host_key
        if fault == "folder gone":
            (self.folder / "in").rename(self.folder / "away")
        elif fault == "server gone":
            server.stop()
        else:
            server.is_locked = fault == "password changed"
            if fault == "key exchanged":
                server.host_key = paramiko.ECDSAKey.generate()
            server.cut()
        try:
            yield
        finally:
            server.is_locked, server.host_key = False, kept
            if fault == "folder gone":
                (self.folder / "away").rename(self.folder / "in")
            elif fault == "server gone":
                server.start()

    def close(self) -> None:
        self.server.close()


class ReadOnlySftp(SftpWorld):
    """A server whose account may only read: files stay where they are."""

    read_only = True


class RenamedSftp(SftpWorld):
    """Files that are whole as soon as they have their final name."""

    ready = "renamed"
    claim = "rename"

    def put(self, n: int) -> None:
        self.put_half(n)
        self.put_rest(n)

    def repeat(self, n: int) -> None:
        path = self._path(100 + n)
        path.with_suffix(".tmp").write_bytes(self.content(n))
        path.with_suffix(".tmp").rename(path)

    def put_half(self, n: int) -> None:
        self._path(n).with_suffix(".tmp").write_bytes(self.content(n)[:50])

    def put_rest(self, n: int) -> None:
        path = self._path(n).with_suffix(".tmp")
        with path.open("ab") as file:
            file.write(self.content(n)[50:])
        path.rename(self._path(n))


test_claimed_by_rename = collector_conformance(SftpWorld)
test_read_in_place = collector_conformance(ReadOnlySftp)
test_renamed_by_the_sender = collector_conformance(RenamedSftp)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SftpWorld]:
    made = SftpWorld(tmp_path)
    try:
        yield made
    finally:
        made.close()


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def changed(world: World, **options: Any) -> None:
    source = world.net.sources["feed"]
    merged = {**source.options, **options}
    merged = {name: value for name, value in merged.items() if value is not None}
    feed = source.model_copy(update={"options": merged})
    world.net = world.net.model_copy(update={"sources": {"feed": feed}})


def test_what_is_stored_moves_to_its_day_and_claims_leave_nothing(world: SftpWorld) -> None:
    world.put(0)
    Tower(world).drain()
    assert files(world.folder / "in") == ["done/2026/03/27/ACME/answer 0 ü.csv"]
    claimed = world.folder / "in" / ".claimed"
    assert [p for p in claimed.rglob("*") if p.is_file()] == []


def test_what_was_claimed_and_not_settled_is_read_by_the_next(world: SftpWorld) -> None:
    world.put(0)
    tower = Tower(world)
    tower.read()
    tower.read(die="before commit")
    assert [name.split("/")[0] for name in files(world.folder / "in")] == [".claimed"]
    tower.drain()
    assert tower.bodies() == [world.content(0)]
    assert files(world.folder / "in") == ["done/2026/03/27/ACME/answer 0 ü.csv"]


def test_a_read_only_account_opens_each_file_once(tmp_path: Path) -> None:
    world = ReadOnlySftp(tmp_path)
    try:
        for n in range(3):
            world.put(n)
        tower = Tower(world)
        tower.drain()
        tower.restart()
        tower.drain()
        assert tower.bodies() == sorted(world.content(n) for n in range(3))
        assert len(world.server.opened) == 3
        assert len(files(world.folder / "in")) == 3
        world._path(1).write_bytes(world.content(7))  # the same name, new bytes, another second
        os.utime(world._path(1), (START.timestamp(),) * 2)
        tower.drain()
        assert len(world.server.opened) == 4
        assert world.content(7) in tower.bodies()
    finally:
        world.close()


def test_more_files_than_can_be_told_apart_in_place_are_refused_with_advice(
    tmp_path: Path,
) -> None:
    world = ReadOnlySftp(tmp_path)
    try:
        folder = world.folder / "in" / "ACME"
        for n in range(600):
            (folder / f"{n}.csv").write_bytes(world.content(1))
            os.utime(folder / f"{n}.csv", (START.timestamp() - 90_000,) * 2)
        world.put(0)
        with pytest.raises(ConfigError, match="younger_than"):
            Tower(world).read()
        os.utime(world._path(0), (START.timestamp(),) * 2)
        changed(world, younger_than="24h")
        tower = Tower(world)
        tower.drain()
        assert tower.bodies() == [world.content(0)]
    finally:
        world.close()


def test_asked_to_rename_and_not_allowed_is_told(world: SftpWorld) -> None:
    changed(world, claim="rename")
    world.server.is_read_only = True
    world.put(0)
    with pytest.raises(AccessDenied, match="claim: in_place"):
        Tower(world).read()


def test_another_key_of_the_server_ends_it_before_the_password_is_sent(world: SftpWorld) -> None:
    other = paramiko.ECDSAKey.generate()
    changed(world, host_key=f"{other.get_name()} {other.get_base64()}")
    with pytest.raises(AccessDenied) as caught:
        Tower(world).read()
    assert world.server.host_key.fingerprint in str(caught.value)
    assert world.server.passwords == []


def test_a_fingerprint_pins_as_well_and_two_may_stand_while_one_is_exchanged(
    world: SftpWorld,
) -> None:
    world.put(0)
    changed(world, host_key=["SHA256:" + "A" * 43, world.server.host_key.fingerprint])
    tower = Tower(world)
    tower.drain()
    assert tower.bodies() == [world.content(0)]


@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_a_key_from_a_file_lets_us_in(
    world: SftpWorld, tmp_path: Path, passphrase: str | None
) -> None:
    key = paramiko.RSAKey.generate(2048)
    text = io.StringIO()
    key.write_private_key(text, passphrase)
    (tmp_path / "key").write_text(text.getvalue())
    world.server.client_key = key
    world.put(0)
    locked = None if passphrase is None else "PARTNER_PASSPHRASE"
    changed(world, password_variable=None, key_variable="PARTNER_KEY", passphrase_variable=locked)
    secrets = {"PARTNER_KEY_FILE": str(tmp_path / "key"), "PARTNER_PASSPHRASE": passphrase or "-"}
    batches = read(world, secrets)
    raws = [raw for batch in batches for raw in batch.raws]
    assert [raw.body for raw in raws] == [world.content(0)]
    assert world.server.passwords == []
    wrong = {**secrets, "PARTNER_KEY_FILE": str(tmp_path / "none")}
    with pytest.raises(ConfigError, match="PARTNER_KEY"):
        read(world, wrong)
    (tmp_path / "none").write_text("no key at all")
    with pytest.raises(ConfigError, match="no private key"):
        read(world, wrong)


def read(world: SftpWorld, secrets: Mapping[str, str]) -> list[Batch]:
    source = world.net.sources["feed"]
    reader = registry.reader_for("feed", source, world.net, secrets, base=world.folder)
    mark: Mark | None = None
    found = []
    for seconds in (0, 11):
        for batch in reader.read(mark, PLENTY, START + timedelta(seconds=seconds)):
            mark = batch.mark
            reader.settle(batch)
            found.append(batch)
    return found


def test_links_large_files_and_odd_names_are_refused_with_their_reason(world: SftpWorld) -> None:
    folder = world.folder / "in" / "ACME"
    (world.folder / "secret.txt").write_text("outside")
    (folder / "link.csv").symlink_to(world.folder / "secret.txt")
    (folder / "large.csv").write_bytes(b"x" * 2000)
    changed(world, max_bytes=1000)
    tower = Tower(world)
    tower.drain()
    letters = [
        letter.code
        for raw in tower.ledger.values()
        for letter in registry.interpret(raw, world.net).dead_letters
    ]
    assert sorted(letters) == ["link", "too_large"]
    assert all(raw.body == b"" for raw in tower.ledger.values())
    assert sorted(name.split("/")[0] for name in files(world.folder / "in")) == [".refused"] * 2


def test_options_that_prove_nothing_or_both_are_refused() -> None:
    source = """
sources:
  feed: {{kind: sftp, format: x12, system: erp,
          options: {{host: h, user: u, host_key: {key}{more}}}}}
"""
    for key, more, said in (
        ("SHA256:" + "A" * 43, "", "password_variable or key_variable"),
        ("SHA256:" + "A" * 43, ", password_variable: A, key_variable: B", "either a password"),
        ("nonsense", ", password_variable: A", "ssh-keyscan"),
    ):
        with pytest.raises(ConfigError, match=said):
            network(source.format(key=key, more=more))


def test_the_recipe_works_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    server = SftpServer(tmp_path)
    try:
        net = recipes.network(
            "sftp",
            partner_sftp={"host": "127.0.0.1", "port": server.port, "host_key": server.pin,
                          "user": USER},
        )  # fmt: skip
        (tmp_path / "outbox" / "answer.edi").write_bytes(
            (recipes.ROOT / "tests/fixtures/formats/855_answer.edi").read_bytes()
        )
        source = net.sources["partner_sftp"]
        secrets = {"PARTNER_SFTP_PASSWORD": PASSWORD}
        reader = registry.reader_for("partner_sftp", source, net, secrets, base=tmp_path)
        (first,) = reader.read(None, PLENTY, START)
        (batch,) = reader.read(first.mark, PLENTY, START + timedelta(seconds=61))
        assert [raw.name for raw in batch.raws] == ["answer.edi"]
        reader.settle(batch)
        assert files(tmp_path / "outbox") == ["done/2026/03/27/answer.edi"]
    finally:
        server.close()
