"""The process of the embedded Postgres server: started, asked, watched, stopped.

``db.embedded`` decides who may; here is how.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg

from db import cluster
from db.cluster import ADMIN, Passwords, Place
from tower.errors import ConfigError

log = logging.getLogger(__name__)

PORT = 5432  # only part of the socket's name; nothing listens on a network
START_TIMEOUT_S = 300.0  # recovery of a gigabyte of WAL on a slow disk
FAST_STOP_S = 60.0
IMMEDIATE_STOP_S = 10.0
PROBE_EVERY_S = 5.0
PROBE_TIMEOUT_S = 5
BACK_OFF_S = 1.0  # before the first restart; doubled before each further one
# A busy machine may be slow to answer; a server that runs but is mute this long hangs.
MUTE_S = 60.0
GIVE_UP_FAILURES, GIVE_UP_WITHIN_S = 3, 300.0


class Keeper:
    """Starts one server, looks after it in a thread, stops it. Used by the holder of the lock."""

    def __init__(
        self,
        where: Place,
        bin_folder: Path,
        known: Passwords,
        *,
        throwaway: bool,
        on_give_up: Callable[[str], None] | None,
    ) -> None:
        self._where = where
        self._bin = bin_folder
        self._known = known
        self._throwaway = throwaway
        self._on_give_up = on_give_up
        self._folder = cluster.socket_folder(where)
        self._child: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> tuple[Path, int]:
        """Start, or adopt what a killed holder left running; wait until it answers.

        Returns the socket's folder and the process number.
        """
        left = find_process(self._where)
        if left is not None:
            self._folder = socket_folder_of(self._where) or self._folder
        else:
            clear_remains(self._where)
            self._launch()
        self._await_answer()
        process = find_process(self._where)
        if process is None:
            raise self._start_failure("it ended right after its start")
        return self._folder, process.pid

    def watch(self) -> None:
        self._thread = threading.Thread(target=self._look_after, name="postgres-watch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        stop(self._where, self._child)

    def _launch(self) -> None:
        settings = _server_settings(self._folder, throwaway=self._throwaway)
        arguments = [f"{name}={value}" for name, value in settings.items()]
        with (self._where.base / "start.log").open("wb") as output:
            self._child = subprocess.Popen(  # type: ignore[call-overload]
                # (the overloads cannot see the account's keyword arguments)
                [
                    self._bin / "postgres",
                    f"-D{self._where.data}",
                    *(part for argument in arguments for part in ("-c", argument)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=cluster.server_environment(),
                # Ctrl-C in a terminal reaches us alone: workers stop first, the server last.
                start_new_session=True,
                # A killed test run leaves nothing behind.
                preexec_fn=dying_with_parent(signal.SIGQUIT) if self._throwaway else None,
                **self._where.account.popen(),
            )

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        pause = 0.02
        while not self._ending.is_set():
            if ask(self._where, self._folder, self._known[ADMIN]) == "ready":
                return
            if self._child is not None and self._child.poll() is not None:
                raise self._start_failure("it ended")
            if time.monotonic() > deadline:
                raise self._start_failure(f"no answer within {START_TIMEOUT_S:.0f} s")
            self._ending.wait(pause)
            pause = min(pause * 1.5, 0.5)

    def _start_failure(self, what: str) -> ConfigError:
        file = self._where.base / "start.log"
        tail = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-12:]
        said = "\n".join(tail) or "(it said nothing)"
        return ConfigError(
            f"The embedded database in {self._where.data} did not start: {what}.\n{said}\n"
            f"More may be in {self._where.data / 'log'}. Mend the cause and start again."
        )

    def _look_after(self) -> None:
        failures: deque[float] = deque(maxlen=GIVE_UP_FAILURES)
        answered = time.monotonic()
        while not self._ending.wait(PROBE_EVERY_S):
            state = ask(self._where, self._folder, self._known[ADMIN])
            now = time.monotonic()
            if state != "mute":  # recovering counts as well
                answered = now
                continue
            if self._alive() and now - answered < MUTE_S:
                continue
            failures.append(now)
            log.error("The embedded database is gone", extra={"action": "database.lost"})
            if len(failures) == GIVE_UP_FAILURES and now - failures[0] < GIVE_UP_WITHIN_S:
                self._give_up(f"it failed {GIVE_UP_FAILURES} times in {GIVE_UP_WITHIN_S:.0f} s")
                return
            if self._ending.wait(BACK_OFF_S * 2 ** (len(failures) - 1)):
                return
            try:
                self._restart()
            except (ConfigError, OSError) as error:
                log.error(
                    "The embedded database did not come back: %s",
                    error,
                    extra={"action": "database.restart_failed"},
                )
            answered = time.monotonic()

    def _alive(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            return False
        return find_process(self._where) is not None

    def _restart(self) -> None:
        stop(self._where, self._child, patience_s=1.0)
        clear_remains(self._where)
        self._launch()
        self._await_answer()
        if not self._ending.is_set():
            log.warning("The embedded database is back", extra={"action": "database.restarted"})

    def _give_up(self, why: str) -> None:
        log.critical(
            "The embedded database stays down: %s. Its words are in %s",
            why,
            self._where.data / "log",
            extra={"action": "database.given_up"},
        )
        if self._on_give_up is not None:
            self._on_give_up(why)


def _server_settings(folder: Path, *, throwaway: bool) -> dict[str, str]:
    # A list of folders: quoted, so that a comma or a space in a path stays one of them.
    quoted = '"' + str(folder).replace('"', '""') + '"'
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": quoted,
        "unix_socket_permissions": "0700",
        "max_wal_size": "1GB",
        "shared_buffers": "256MB",
        "jit": "off",
        "random_page_cost": "1.1",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "on",
        "log_directory": "log",
        "log_filename": "postgres-%a.log",  # a week, each day over the same day's old file
        "log_rotation_age": "1d",
        "log_truncate_on_rotation": "on",
        "log_checkpoints": "off",
        "password_encryption": "scram-sha-256",
    }
    shared = Path("/dev/shm")  # noqa: S108  # where parallel queries keep their shared memory
    if shared.is_dir() and shutil.disk_usage(shared).total < 256 * 2**20:
        settings["dynamic_shared_memory_type"] = "mmap"  # containers often give it 64 MB
    if throwaway:
        settings |= {
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "logging_collector": "off",
        }
    return settings


def dying_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """A ``preexec_fn``: the child gets this signal when the thread that started it is no more.

    Only Linux knows this; None elsewhere.
    """
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    pr_set_pdeathsig = 1

    def arm() -> None:
        libc.prctl(pr_set_pdeathsig, int(number))

    return arm


def _pid_file_lines(where: Place) -> list[str]:
    try:
        return (where.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def find_process(where: Place) -> psutil.Process | None:
    """The process that serves our data folder. A number in a file proves nothing by itself."""
    lines = _pid_file_lines(where)
    if not lines or not lines[0].strip().isdigit():
        return None
    return _serving(where, int(lines[0]))


def _serving(where: Place, pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        gone = process.status() == psutil.STATUS_ZOMBIE
        # Postgres works inside its data folder, so this names the very cluster.
        return None if gone or process.cwd() != str(where.data) else process
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def socket_folder_of(where: Place) -> Path | None:
    """What the running server says in its pid file; line 5 comes a moment after the first."""
    lines = _pid_file_lines(where)
    return Path(lines[4]) if len(lines) > 4 and lines[4] else None


def ask(where: Place, folder: Path, password: str) -> str:
    """``ready``: answers and serves our folder; ``starting``: alive, not yet; else ``mute``."""
    try:
        with psycopg.connect(
            host=str(folder),
            port=PORT,
            user=ADMIN,
            password=password,
            dbname="postgres",
            connect_timeout=PROBE_TIMEOUT_S,
            options=f"-c statement_timeout={PROBE_TIMEOUT_S}s",
            autocommit=True,
        ) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
    except psycopg.OperationalError as error:
        words = str(error)
        waiting = ("starting up", "in recovery mode", "not yet accepting", "shutting down")
        return "starting" if any(part in words for part in waiting) else "mute"
    if row is None or row[0] != str(where.data):
        raise ConfigError(
            f"The server at {folder} serves {row and row[0]}, not {where.data}. "
            "Stop that server, or name another folder in TOWER_HOME."
        )
    return "ready"


def clear_remains(where: Place) -> None:
    """After a kill: wait for left processes of the cluster, then drop a pid file nobody owns.

    Postgres itself refuses to start when the number in a stale file was given to another process
    of the same account. While we hold the lock and nobody works in the folder, it is stale.
    """
    deadline = time.monotonic() + FAST_STOP_S
    while left := _processes_in(where):
        if time.monotonic() > deadline:
            raise ConfigError(
                f"Processes {', '.join(str(p.pid) for p in left)} of an earlier database server "
                f"still work in {where.data}. End them, then start again."
            )
        time.sleep(0.1)
    (where.data / "postmaster.pid").unlink(missing_ok=True)


def _processes_in(where: Place) -> list[psutil.Process]:
    return [
        process for process in psutil.process_iter() if _serving(where, process.pid) is not None
    ]


def stop(
    where: Place, child: subprocess.Popen[bytes] | None = None, patience_s: float = FAST_STOP_S
) -> None:
    """Stop fast (sessions are ended, all is written), immediately when that takes too long.

    A frozen server heeds neither; it is killed, and its next start recovers from the log.
    """
    process = find_process(where)
    if process is not None:
        for number, patience in ((signal.SIGINT, patience_s), (signal.SIGQUIT, IMMEDIATE_STOP_S)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
            if _ends(process, child, patience):
                break
        else:
            log.error(
                "The embedded database (process %d) did not stop and is killed",
                process.pid,
                extra={"action": "database.killed"},
            )
            for one in _processes_in(where):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            _ends(process, child, IMMEDIATE_STOP_S)
    if child is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=10)


def _ends(
    process: psutil.Process, child: subprocess.Popen[bytes] | None, patience_s: float
) -> bool:
    """Whether it ends in time. Its pid file goes a moment earlier and says too little."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if child is not None:
            child.poll()
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False
