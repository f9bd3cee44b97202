"""The screens as a process of their own, and windows of a real browser before them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.e2e.visiting import PATIENCE_S, be_patient
from worker.demo.stage import free_port

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextlib.contextmanager
def screens(
    environment: Mapping[str, str], *, port: int | None = None, folder: Path | None = None
) -> Iterator[str]:
    """The address of a server with this environment beside ours, once it answers."""
    port = port or free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.serve"],
        env={**os.environ, **environment, "TOWER_UI_PORT": str(port)},
        cwd=folder,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _await(f"{address}/_stcore/health", process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(address, timeout=2).status_code == 200:
                return
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server did not answer in time"
        time.sleep(0.1)


@contextlib.contextmanager
def browsing(chromium: str) -> Iterator[Browser]:
    """A browser that asks nobody for anything by itself."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextlib.contextmanager
def windows(chromium: str, height: int) -> Iterator[BrowserContext]:
    """Windows of one person, 1440 wide and high enough for what is looked at."""
    with browsing(chromium) as browser:
        context = browser.new_context(viewport={"width": 1440, "height": height})
        be_patient(context)
        yield context
