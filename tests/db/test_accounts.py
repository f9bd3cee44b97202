"""Accounts, sessions and waits in a real database."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, select

from db import accounts, attempts, audit, passwords, sessions
from db.tables import account, session
from tower.access import ROLES
from tower.accounts import IDLE, LONGEST, NotAnAccount, WeakPassword, checked_name, local_path

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WORDS = "orchid ladder quartz seven"


@pytest.fixture(autouse=True)
def cheap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real hashes of the smallest cost, except where the cost is what is tested."""
    if "keeps_no_password" not in request.node.name:
        small = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        monkeypatch.setattr(passwords, "_hasher", small)


def person(engine: Engine, name: str = "ana", role: str = "leader", **more: object) -> int:
    with engine.begin() as conn:
        made = accounts.add(
            conn,
            name=name,
            password=WORDS,
            role=role,
            by="test",
            now=NOW,
            **more,  # type: ignore[arg-type]
        )
    return made.id


def signed_in(engine: Engine, account_id: int, now: datetime = NOW) -> str:
    with engine.begin() as conn:
        return sessions.open_(
            conn, account_id, "password", address="10.0.0.1", browser="B", now=now
        )


def alive(engine: Engine, token: str, now: datetime) -> bool:
    with engine.begin() as conn:
        return sessions.look(conn, token, now) is not None


def test_an_account_keeps_no_password_and_a_session_no_token(database: Engine) -> None:
    ana = person(database, " Ana ", full_name="Ana Buyer")
    token = signed_in(database, ana)
    with database.begin() as conn:
        kept = conn.execute(select(account)).one()
        assert kept.name == "ana"
        assert kept.password.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
        assert WORDS not in str(kept)
        assert token not in str(conn.execute(select(session)).one())
        found = accounts.password_of(conn, "ANA")
        assert found is not None
        assert passwords.fits(found[1], WORDS)
        assert not passwords.fits(found[1], WORDS + " ")
        assert not passwords.fits(None, WORDS)
        live = sessions.look(conn, token, NOW)
        assert live is not None
        assert (live.name, live.scope.role, live.scope.sees_all) == ("ana", "leader", True)
        with pytest.raises(NotAnAccount, match="already"):
            accounts.add(conn, name="ana", password=WORDS, role="admin", by="test", now=NOW)
        assert audit.verify(conn).broken_at is None


@pytest.mark.parametrize(
    "weak",
    ["short words", "password12345678", "aaaaaaaaaaaaaaaaaaaaaa", "qwertyuiopasdfghjkl", "w" * 300],
)
def test_a_password_that_is_guessed_is_refused(weak: str) -> None:
    with pytest.raises(WeakPassword):
        passwords.check(weak, "ana")


def test_made_passwords_pass_and_differ() -> None:
    found = {passwords.made() for _ in range(5)}
    assert len(found) == 5
    for one in found:
        passwords.check(one)


def test_a_session_ends_by_idleness_and_by_age(database: Engine) -> None:
    ana = person(database)
    idle = signed_in(database, ana)
    minute = timedelta(minutes=1)
    assert alive(database, idle, NOW + IDLE - minute)
    assert not alive(database, idle, NOW + IDLE)
    busy = signed_in(database, ana)
    at = NOW
    while at < NOW + LONGEST - timedelta(minutes=20):
        at += timedelta(minutes=20)
        with database.begin() as conn:
            live = sessions.look(conn, busy, at)
            assert live is not None, at
            sessions.touch(conn, live.session, at)
    assert alive(database, busy, NOW + LONGEST - minute)
    assert not alive(database, busy, NOW + LONGEST)


def test_whatever_changes_about_a_person_ends_what_they_have_open(database: Engine) -> None:
    person(database, "root", "admin")
    ana = person(database)
    other = person(database, "ben", "support")
    stays = signed_in(database, other)
    rights = {"role": "support", "partners": ["acme"], "grants": ["replay.act"]}
    for step in ("change", "reset", "sign_out", "end", "disable"):
        token = signed_in(database, ana)
        assert alive(database, token, NOW)
        with database.begin() as conn:
            if step == "change":
                accounts.change(conn, "ana", **rights, by="root", now=NOW)  # type: ignore[arg-type]
            elif step == "reset":
                accounts.reset(conn, "ana", "quartz orchid seven hats", by="root", now=NOW)
            elif step == "sign_out":
                assert sessions.sign_out(conn, ana, "ana", by="root", now=NOW) == 1
            elif step == "end":
                assert sessions.end(conn, token) == "ana"
            else:
                accounts.disable(conn, "ana", by="root", now=NOW)
        assert not alive(database, token, NOW), step
    assert not alive(database, signed_in(database, ana), NOW)
    with database.begin() as conn:
        accounts.enable(conn, "ana", by="root", now=NOW)
    assert alive(database, stays, NOW)
    with database.begin() as conn:
        told = [e.act.action for e in audit.entries(conn, subject="account:ana")]
    assert told == [
        "account.enabled",
        "account.disabled",
        "session.ended",
        "account.password",
        "account.changed",
        "account.added",
    ]


def test_rights_that_contradict_each_other_are_refused(database: Engine) -> None:
    for role, partners, grants in (
        ("boss", None, ()),
        ("partner", None, ()),
        ("partner", [], ()),
        ("admin", ["acme"], ()),
        ("leader", None, ["replay.act"]),
        ("support", None, ["people.manage"]),
    ):
        with pytest.raises(NotAnAccount):
            person(database, "x", role, partners=partners, grants=grants)
    assert set(ROLES) == {"leader", "support", "admin", "partner", "read-only"}
    for name in ("", "a b", "-a", "a\nb", "ana\x00", "a" * 90, "Ána"):
        with pytest.raises(NotAnAccount):
            checked_name(name)


def test_the_last_admin_stays(database: Engine) -> None:
    person(database, "root", "admin")
    with pytest.raises(NotAnAccount, match="last admin"), database.begin() as conn:
        accounts.disable(conn, "root", by="root", now=NOW)
    with pytest.raises(NotAnAccount, match="last admin"), database.begin() as conn:
        accounts.change(conn, "root", role="leader", partners=None, grants=(), by="root", now=NOW)


def test_somebody_from_the_provider_never_becomes_somebody_else(database: Engine) -> None:
    person(database)

    def arrives(subject: str, name: str, role: str = "support") -> str:
        who = accounts.Identity("https://idp", subject, name, "", role, None, ())
        with database.begin() as conn:
            return accounts.arrived(conn, who, NOW).name

    with pytest.raises(NotAnAccount, match="belongs to another"):
        arrives("1", "ana")
    assert arrives("1", "cid") == "cid"
    assert arrives("1", "ana") == "cid"  # the subject is the person, whatever name is claimed
    with pytest.raises(NotAnAccount, match="belongs to another"):
        arrives("2", "cid")
    with database.begin() as conn:
        cid = accounts.by_name(conn, "cid")
        assert accounts.password_of(conn, "cid") is None
        with pytest.raises(NotAnAccount, match="identity provider"):
            accounts.reset(conn, "cid", WORDS, by="root", now=NOW)
    token = signed_in(database, cid.id)
    arrives("1", "cid")
    assert alive(database, token, NOW)
    arrives("1", "cid", "leader")
    assert not alive(database, token, NOW)
    with database.begin() as conn:
        accounts.disable(conn, "cid", by="root", now=NOW)
    with pytest.raises(NotAnAccount, match="disabled"):
        arrives("1", "cid")


def test_waits_grow_per_account_and_address_and_end(database: Engine) -> None:
    def wait(name: str, address: str, now: datetime) -> float:
        with database.begin() as conn:
            return attempts.take_turn(conn, name, address, now).total_seconds()

    at = NOW
    seen = []
    while len(seen) < 9:
        left = wait("ana", "127.0.0.1", at)
        if left:
            assert wait("ana", "127.0.0.1", at) == left  # asking on changes nothing
            seen.append(left)
            at += timedelta(seconds=left)
    assert seen == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert wait("ben", "127.0.0.1", at) == 0  # others are let in
    with database.begin() as conn:
        attempts.succeeded(conn, "ana", "127.0.0.1")
    assert wait("ana", "127.0.0.1", at) == 0
    for n in range(21):
        assert wait(f"n{n}", "2001:db8::1", at) == 0
    assert wait("n99", "2001:db8::2", at) == 1  # one network
    assert wait("n99", "2001:db9::2", at) == 0


def test_fifty_attempts_at_once_are_counted_as_fifty(database: Engine) -> None:
    allowed: list[bool] = []
    start = threading.Barrier(10)

    def attempt() -> None:
        start.wait()
        for _ in range(5):
            with database.begin() as conn:
                allowed.append(not attempts.take_turn(conn, "ana", "127.0.0.1", NOW))

    threads = [threading.Thread(target=attempt) for _ in range(10)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(allowed) == 50
    assert sum(allowed) == 6  # the sixth is the one that has to be wrong before anybody waits


def test_a_visit_at_the_provider_is_good_once_and_for_ten_minutes(database: Engine) -> None:
    with database.begin() as conn:
        sessions.send_off(conn, "state", "nonce", "verifier", "/queues", NOW)
        sessions.send_off(conn, "late", "nonce", "verifier", "/", NOW)
        found = sessions.come_back(conn, "state", NOW)
        assert found is not None
        assert (found.nonce, found.verifier, found.next) == ("nonce", "verifier", "/queues")
        assert sessions.come_back(conn, "state", NOW) is None
        assert sessions.come_back(conn, "never", NOW) is None
        assert sessions.come_back(conn, "late", NOW + timedelta(minutes=10)) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/trace?ref=po%3A1&x=a/b", "/trace?ref=po%3A1&x=a/b"),
        ("/", "/"),
        (None, "/"),
        ("", "/"),
        ("queues", "/"),
        ("//evil.example/x", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/a b", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/signin?next=/", "/"),
        ("/oidc/start", "/"),
        ("/" + "a" * 3000, "/"),
    ],
)
def test_only_paths_of_this_host_are_gone_on_to(given: str | None, expected: str) -> None:
    assert local_path(given) == expected
