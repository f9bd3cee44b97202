"""A small supervisor: starts the tower's processes, restarts what dies, stops all in order."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TextIO

from db.postmaster import dying_with_parent
from worker import logs
from worker.answers import EXIT_CONFIG

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
# Who ran this long is healthy: its next death starts with the first pause again.
SETTLED_S = 30.0
POLL_S = 0.2


@dataclass(slots=True)
class _Process:
    """One named child and what became of it."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] | None
    patience_s: float
    child: subprocess.Popen[str] | None = None
    started_at: float = 0.0
    next_start: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    settled: bool = False
    pumps: list[threading.Thread] = field(default_factory=list)


class Supervisor:
    """Runs processes until it is told to stop. They stop in the order in which they were added."""

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output
        self._printing = threading.Lock()
        self._processes: list[_Process] = []
        self._stopping = threading.Event()
        self._impatient = threading.Event()
        self._exit_code = 0

    def add(
        self,
        name: str,
        argv: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        patience_s: float = 20.0,
    ) -> None:
        """A process to run; ``environment`` is added to ours.

        ``patience_s`` is how long it may take to stop before it is killed.
        """
        if any(known.name == name for known in self._processes):
            raise ValueError(f"there is already a process named {name}")
        self._processes.append(
            _Process(name=name, argv=tuple(argv), environment=environment, patience_s=patience_s)
        )

    def run(self) -> int:
        """Start all, keep them alive until a signal to end or ``stop``, then stop them in order.

        Returns 0, or the exit code of a process that refused its configuration at the start:
        starting that one again could not help. A second signal kills what still runs, but for that
        of a closed terminal, which comes twice by itself.
        """
        with self._signals():
            try:
                while not self._stopping.is_set():
                    for process in self._processes:
                        self._look_after(process)
                    self._stopping.wait(POLL_S)
            finally:
                self._stop_all()
        return self._exit_code

    def stop(self) -> None:
        """Ask ``run`` to stop; from any thread."""
        self._stopping.set()

    @contextlib.contextmanager
    def _signals(self) -> Any:
        def told(number: int, _: FrameType | None) -> None:
            if self._stopping.is_set() and number != signal.SIGHUP:
                self._impatient.set()
            self._stopping.set()

        before = {number: signal.signal(number, told) for number in asked_to_end()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _look_after(self, process: _Process) -> None:
        now = time.monotonic()
        if process.child is None:
            if now >= process.next_start:
                self._start(process)
            return
        code = process.child.poll()
        lived = now - process.started_at
        if code is None:
            if lived >= SETTLED_S:
                process.settled = True
                process.pause_s = FIRST_PAUSE_S
            return
        self._bury(process)
        if code == EXIT_CONFIG and not process.settled:
            self._say("tower", f"{process.name} refuses its configuration; stopping.")
            self._exit_code = code
            self.stop()
            return
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        self._say("tower", f"{process.name} {how}; it starts again in {process.pause_s:.0f} s.")
        log.warning(
            "A process ended",
            extra={"action": "process.ended", "name_of_process": process.name, "code": code},
        )
        process.next_start = now + process.pause_s
        process.pause_s = min(process.pause_s * 2, LONGEST_PAUSE_S)

    def _start(self, process: _Process) -> None:
        process.started_at = time.monotonic()
        try:
            process.child = subprocess.Popen(
                process.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                bufsize=1,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(process.environment or {})},
                # Ctrl-C in a terminal reaches us alone; we stop them one after the other.
                start_new_session=True,
                # A killed supervisor takes them along, else they would hold the ports.
                preexec_fn=dying_with_parent(signal.SIGTERM),
            )
        except OSError as error:
            self._say("tower", f"{process.name} cannot be started: {error}")
            process.next_start = time.monotonic() + process.pause_s
            process.pause_s = min(process.pause_s * 2, LONGEST_PAUSE_S)
            return
        pump = threading.Thread(
            target=self._pump, args=(process.name, process.child.stdout), daemon=True
        )
        pump.start()
        process.pumps.append(pump)

    def _pump(self, name: str, lines: TextIO) -> None:
        with lines:
            for line in lines:
                self._say(name, line.rstrip("\n"))

    def _say(self, name: str, line: str) -> None:
        width = max((len(known.name) for known in self._processes), default=0)
        # Looked up late: a test or a console may have put another stream in its place.
        output = self._output or sys.stderr
        # A terminal that was closed must not end the tower.
        with self._printing, contextlib.suppress(OSError, ValueError):
            line = logs.for_people(line) if output.isatty() else line
            output.write(f"{name:<{max(width, 5)}} | {line}\n")
            output.flush()

    def _stop_all(self) -> None:
        for process in self._processes:
            child = process.child
            if child is None:
                continue
            if child.poll() is None:
                _signal(child, signal.SIGTERM)
                deadline = time.monotonic() + process.patience_s
                while child.poll() is None:
                    if self._impatient.is_set() or time.monotonic() > deadline:
                        self._say("tower", f"{process.name} does not stop and is killed.")
                        _signal(child, signal.SIGKILL)
                        child.wait()
                    self._impatient.wait(0.05)
            self._bury(process)

    def _bury(self, process: _Process) -> None:
        """End what it left of its group, print its last words."""
        if process.child is not None:
            _signal(process.child, signal.SIGKILL)
            process.child.wait()
        for pump in process.pumps:
            pump.join(5)
        process.pumps.clear()
        process.child = None


def asked_to_end() -> list[signal.Signals]:
    """The signals by which people and machines ask for an end: Ctrl-C, kill, a closed terminal.

    Who was started with nohup is not asked by the last one.
    """
    asked = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        asked.append(signal.SIGHUP)
    return asked


def end_as_by_ctrl_c() -> None:
    """Let what asks for an end unwind this process, so that its database is stopped, too."""
    for number in asked_to_end():
        signal.signal(number, _hang_up if number == signal.SIGHUP else signal.default_int_handler)


def _hang_up(number: int, frame: FrameType | None) -> None:
    # A terminal that closes tells its processes, and so does its shell: what the first time began
    # to unwind must not be torn by the second.
    signal.signal(number, signal.SIG_IGN)
    signal.default_int_handler(number, frame)


def _signal(child: subprocess.Popen[str], number: signal.Signals) -> None:
    """To the child's whole group: a server may have helpers of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)
