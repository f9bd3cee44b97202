"""The supervisor with real children and real signals."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import psutil
import pytest

from worker import supervisor
from worker.answers import EXIT_CONFIG
from worker.supervisor import Supervisor


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


STAYS = "import signal, sys, time\nprint('up', flush=True)\n"
# Stops when asked and writes down that it did, and when.
POLITE = STAYS + (
    "def bye(*_):\n    print('bye', flush=True); sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, bye)\n"
    "while True: time.sleep(0.05)\n"
)
DEAF = STAYS + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(0.05)\n"


def said(output: io.StringIO, words: str, times: int = 1) -> Callable[[], bool]:
    return lambda: output.getvalue().count(words) >= times


def ended(pid: int) -> bool:
    """Gone, or only waiting for the init process to take note."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def when(true: Callable[[], bool], then: Callable[[], object], seconds: float = 20) -> None:
    """In another thread, for ``run`` needs the main one: wait for it, then do it."""

    def watch() -> None:
        deadline = time.monotonic() + seconds
        while not true() and time.monotonic() < deadline:
            time.sleep(0.02)
        then()

    threading.Thread(target=watch, daemon=True).start()


def test_processes_stop_in_order_and_their_lines_carry_their_names() -> None:
    output = io.StringIO()
    tower = Supervisor(output)
    for name in ("ui", "worker", "database"):
        tower.add(name, python(POLITE))
    when(said(output, "| up", 3), lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert tower.run() == 0
    byes = [line.split()[0] for line in output.getvalue().splitlines() if line.endswith("| bye")]
    assert byes == ["ui", "worker", "database"]


@pytest.fixture
def terminal() -> Iterator[None]:
    """As a shell starts a command, also where these tests run under nohup."""
    before = {
        number: signal.signal(number, handler)
        for number, handler in (
            (signal.SIGHUP, signal.SIG_DFL),
            (signal.SIGINT, signal.default_int_handler),
        )
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_and_a_closed_terminal_stop_all_and_give_the_signals_back(asked: int) -> None:
    output = io.StringIO()
    tower = Supervisor(output)
    tower.add("worker", python(POLITE))
    before = signal.getsignal(asked)
    when(said(output, "| up"), lambda: os.kill(os.getpid(), asked))
    assert tower.run() == 0
    assert signal.getsignal(asked) is before
    assert "bye" in output.getvalue()


SLOW = STAYS + (
    "def bye(*_):\n    time.sleep(1); print('bye', flush=True); sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, bye)\n"
    "while True: time.sleep(0.05)\n"
)


@pytest.mark.usefixtures("terminal")
def test_a_terminal_that_says_twice_that_it_closes_gives_time_to_stop() -> None:
    """Once by itself, once by its shell."""
    output = io.StringIO()
    tower = Supervisor(output)
    tower.add("worker", python(SLOW))

    def close() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.4)

    when(said(output, "| up"), close)
    assert tower.run() == 0
    assert "bye" in output.getvalue()


def unwinding(last: str) -> tuple[subprocess.Popen[str], IO[str]]:
    """A process that says that it is up, and does this last when it is asked to end."""
    code = (
        "import time; from worker.supervisor import end_as_by_ctrl_c\n"
        "end_as_by_ctrl_c()\n"
        "try: print('up', flush=True); time.sleep(60)\n"
        f"finally: {last}\n"
    )
    begun = subprocess.Popen(
        python(code), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert begun.stdout is not None
    return begun, begun.stdout


@pytest.mark.usefixtures("terminal")
def test_what_a_closed_terminal_began_to_unwind_is_unwound() -> None:
    begun, told = unwinding("print('ends', flush=True); time.sleep(1); print('unwound')")
    for expected in ("up\n", "ends\n"):
        assert told.readline() == expected
        begun.send_signal(signal.SIGHUP)
    assert begun.communicate(timeout=30)[0] == "unwound\n"


@pytest.mark.usefixtures("terminal")
def test_under_nohup_a_closed_terminal_stops_nothing() -> None:
    assert signal.SIGHUP in supervisor.asked_to_end()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # A shell starts what it sends to the background deaf to Ctrl-C; that can still be told to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert supervisor.asked_to_end() == [signal.SIGINT, signal.SIGTERM]


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_before_there_are_processes_an_end_unwinds_what_was_begun(asked: int) -> None:
    begun, told = unwinding("print('unwound')")
    assert told.readline() == "up\n"
    begun.send_signal(asked)
    assert begun.communicate(timeout=30)[0] == "unwound\n"


def test_what_dies_is_started_again_with_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "POLL_S", 0.02)
    output = io.StringIO()
    tower = Supervisor(output)
    tower.add("worker", python("import time; print('born', time.monotonic(), flush=True); 1/0"))
    when(said(output, "born", 3), tower.stop)
    tower.run()
    births = [float(line.split()[-1]) for line in output.getvalue().splitlines() if "born" in line]
    assert births[1] - births[0] >= 1.0
    assert births[2] - births[1] >= 2.0
    assert "worker ended with code 1; it starts again in 1 s." in output.getvalue()


def test_a_killed_process_comes_back_and_the_others_do_not_notice() -> None:
    output = io.StringIO()
    tower = Supervisor(output)
    tower.add("steady", python(POLITE))
    tower.add("victim", python("import os\nprint('pid', os.getpid(), flush=True)\n" + POLITE))

    def kill() -> None:
        line = next(line for line in output.getvalue().splitlines() if "| pid" in line)
        os.kill(int(line.split()[-1]), signal.SIGKILL)
        when(said(output, "| pid", 2), tower.stop)

    when(said(output, "| up", 2), kill)
    assert tower.run() == 0
    lines = output.getvalue().splitlines()
    assert len([line for line in lines if line.startswith("steady") and "up" in line]) == 1
    assert "victim was ended by signal 9" in output.getvalue()


def test_a_refused_configuration_stops_the_tower_with_its_code() -> None:
    output = io.StringIO()
    tower = Supervisor(output)
    tower.add("ui", python(POLITE))
    tower.add("worker", python(f"import sys; print('no such port'); sys.exit({EXIT_CONFIG})"))
    assert tower.run() == EXIT_CONFIG
    assert "no such port" in output.getvalue()
    assert "worker refuses its configuration" in output.getvalue()


def test_who_does_not_stop_in_its_time_is_killed() -> None:
    output = io.StringIO()
    tower = Supervisor(output)
    tower.add("deaf", python(DEAF), patience_s=0.3)
    when(said(output, "| up"), tower.stop)
    assert tower.run() == 0
    assert "deaf does not stop and is killed" in output.getvalue()


def test_a_second_ctrl_c_does_not_wait() -> None:
    output = io.StringIO()
    tower = Supervisor(output)
    tower.add("deaf", python(DEAF), patience_s=60)

    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    when(said(output, "| up"), twice)
    started = time.monotonic()
    tower.run()
    assert time.monotonic() - started < 30


def test_a_helper_of_a_process_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid))\n" + POLITE
    )
    output = io.StringIO()
    tower = Supervisor(output)
    tower.add("ui", python(code))
    when(said(output, "| up"), tower.stop)
    tower.run()
    assert ended(int(note.read_text()))


def test_a_program_that_is_not_there_does_not_stop_the_others() -> None:
    output = io.StringIO()
    tower = Supervisor(output)
    tower.add("missing", ["/nowhere/at/all"])
    tower.add("worker", python(POLITE))
    when(said(output, "| up"), tower.stop)
    assert tower.run() == 0
    assert "missing cannot be started" in output.getvalue()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the children")
def test_a_killed_supervisor_takes_its_processes_along(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    child = f"import os, pathlib\npathlib.Path({str(note)!r}).write_text(str(os.getpid()))\n"
    code = (
        "import sys\nfrom worker.supervisor import Supervisor\n"
        "tower = Supervisor()\n"
        f"tower.add('worker', [sys.executable, '-c', {child + POLITE!r}])\n"
        "tower.run()\n"
    )
    parent = subprocess.Popen(python(code), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not (note.exists() and note.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    worker = int(note.read_text())

    while not ended(worker):
        assert time.monotonic() < deadline
        time.sleep(0.02)
