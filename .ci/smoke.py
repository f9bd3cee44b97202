"""Start `make demo` as a newcomer would, look at its pages in Chromium, stop it with Ctrl-C.

Prints what it saw and how long it took; exit code 0 when the numbers were there, the stop was
clean, and a second start continued with the same database.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from app.pages import PAGES

ROOT = Path(__file__).resolve().parents[1]
STOP_S = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Demo:
    """One running `make demo` in a process group of its own."""

    def __init__(self, home: Path, ui_port: int, api_port: int) -> None:
        self.address = f"http://127.0.0.1:{ui_port}"
        self.started = time.monotonic()
        self.last_lines: deque[str] = deque(maxlen=60)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("TOWER_", "PG"))}
        environment |= {
            "TOWER_HOME": str(home),
            "TOWER_UI_PORT": str(ui_port),
            "TOWER_API_PORT": str(api_port),
            "TOWER_BASE_URL": self.address,
        }
        self.process = subprocess.Popen(
            ["make", "demo"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.last_lines.append(line.rstrip())

    def await_page(self, seconds: float) -> float:
        """Wait until the screens answer; seconds since the start."""
        deadline = self.started + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failure(f"make demo ended with {self.process.returncode}", self)
            try:
                with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=2) as answer:  # noqa: S310
                    if answer.status == 200:
                        return time.monotonic() - self.started
            except OSError:
                pass
            time.sleep(0.5)
        raise Failure(f"no page within {seconds:.0f} s", self)

    def stop(self) -> float:
        """Ctrl-C, as a terminal sends it: to the whole foreground group. Seconds it took."""
        begun = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise Failure(f"still running {STOP_S:.0f} s after Ctrl-C", self) from None
        self._reader.join(5)
        return time.monotonic() - begun

    def end(self) -> None:
        """Whatever happened, leave nothing running."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


class Failure(Exception):
    """What was expected and did not come, with the last words of the demo."""

    def __init__(self, message: str, demo: Demo) -> None:
        super().__init__(message + "\n  last lines:\n    " + "\n    ".join(demo.last_lines))


def enter(page: Page, demo: Demo, role: str) -> None:
    """Nobody sees a page without signing in; the demo offers its own accounts."""
    if not page.url.startswith(f"{demo.address}/signin"):
        raise Failure(f"{page.url} was shown without signing in", demo)
    page.locator(f'button[data-role="{role}"]').click()
    page.wait_for_url(f"{demo.address}/", timeout=60_000)


def numbers_on(page: Page, demo: Demo, seconds: float) -> dict[str, str]:
    """The KPI cards of the overview that show a number, once every card has settled."""
    deadline = time.monotonic() + seconds
    found: dict[str, str] = {}
    while time.monotonic() < deadline:
        cards = page.locator('[data-testid="stMetric"]')
        found = {}
        for index in range(cards.count()):
            card = cards.nth(index)
            label = card.locator('[data-testid="stMetricLabel"]').inner_text().strip()
            value = card.locator('[data-testid="stMetricValue"]').inner_text().strip()
            if re.search(r"\d", value):
                found[label] = value
        if len(found) >= 4 and any(re.search(r"[1-9]", value) for value in found.values()):
            return found
        page.wait_for_timeout(1000)
        if page.locator('[data-testid="stException"]').count():
            raise Failure("the overview shows an error", demo)
    raise Failure(f"the overview shows {found or 'no number'} after {seconds:.0f} s", demo)


def look_at_every_page(page: Page, demo: Demo, patience_s: float) -> None:
    """No page of a real installation says that it failed; some are not for this role."""
    for one in PAGES:
        page.goto(f"{demo.address}/{one.path}", timeout=60_000)
        page.get_by_test_id("stHeading").first.wait_for(timeout=patience_s * 1000)
        page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(
            timeout=patience_s * 1000
        )
        said = page.get_by_test_id("stMain").inner_text()
        if page.get_by_test_id("stException").count() or re.search(r"^Reference \w+", said, re.M):
            raise Failure(f"the page {one.title} shows an error: {said[:300]}", demo)


@contextmanager
def browser_page() -> Iterator[Page]:
    found = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if found is None:
        raise SystemExit("there is no Chromium; install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"],
        )
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        foreign: list[str] = []
        page.on(
            "request",
            lambda r: (
                foreign.append(r.url)
                if not r.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))
                else None
            ),
        )
        try:
            yield page
            if foreign:
                raise SystemExit(f"the page asked other hosts: {foreign[:5]}")
        finally:
            browser.close()


def visit(home: Path, patience_s: float, pictures: Path | None, role: str) -> dict[str, str]:
    demo = Demo(home, free_port(), free_port())
    try:
        up = demo.await_page(patience_s)
        with browser_page() as page:
            page.goto(demo.address, wait_until="domcontentloaded", timeout=60_000)
            enter(page, demo, role)
            numbers = numbers_on(page, demo, patience_s)
            seen = time.monotonic() - demo.started
            if pictures is not None:
                pictures.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=pictures / "smoke-overview.png")
            look_at_every_page(page, demo, patience_s)
        down = demo.stop()
        if demo.process.returncode not in (0, -signal.SIGINT, 130):
            raise Failure(f"make demo ended with {demo.process.returncode} after Ctrl-C", demo)
        print(f"page after {up:.0f} s, numbers after {seen:.0f} s, stopped in {down:.1f} s")
        for label, value in numbers.items():
            print(f"  {label}: {value}")
        return numbers
    finally:
        demo.end()


def left_running(home: Path) -> list[str]:
    """Processes that still know this home by their environment or command line."""
    import psutil

    found = []
    for process in psutil.process_iter(["pid", "name"]):
        try:
            where = process.environ().get("TOWER_HOME") == str(home)
        except psutil.Error:
            continue
        if where and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
            found.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--patience", type=float, default=600.0, help="seconds per wait")
    options.add_argument("--pictures", type=Path, help="folder for a picture of the overview")
    chosen = options.parse_args()
    home = Path(tempfile.mkdtemp(prefix="tower-smoke-"))
    try:
        print("first start")
        visit(home, chosen.patience, chosen.pictures, "leader")
        print("second start, which continues")
        visit(home, chosen.patience, None, "admin")
        if left := left_running(home):
            raise SystemExit("still running after the stop:\n  " + "\n  ".join(left))
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    finally:
        forget(home)
    print("the demo starts, shows its numbers, stops cleanly and continues")
    return 0


def forget(home: Path) -> None:
    """Remove the home, and what a server started by root keeps outside of it."""
    note = home / "postgres.location"
    if note.exists():
        base = Path(note.read_text(encoding="utf-8").splitlines()[0])
        shutil.rmtree(base, ignore_errors=True)
        base.with_name(base.name + ".lock").unlink(missing_ok=True)
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
