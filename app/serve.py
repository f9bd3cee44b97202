"""The server of the screens: Streamlit as an ASGI app behind our own middleware.

``python -m app.serve`` is what `tower ui` starts; ``build`` makes the same for any ASGI server.
Settings of Streamlit are in ``app/.streamlit/config.toml``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
import uvicorn
from starlette.middleware import Middleware

from app.cookies import is_loopback
from app.data import SignedOut
from app.gate import Gate
from app.middleware import CompressedStatic, LocalOrigin, SecurityHeaders, compress_ahead
from app.own_password import OwnPassword
from app.signin import SignIn
from db import passwords
from tower import settings
from tower.errors import ConfigError, TowerError
from tower.settings import Settings

log = logging.getLogger("app.serve")  # also where this file is the main program

MAIN = Path(__file__).parent / "main.py"

# What a first visit would otherwise load while somebody waits (2.3 s instead of 0.4 s).
PRELOADED = (
    "orjson",
    "pandas",
    "plotly.graph_objects",
    "plotly.io",
    "psycopg",
    "pyarrow",
    "sqlalchemy.dialects.postgresql",
    "streamlit.elements.arrow",
    "streamlit.elements.plotly_chart",
    "app.charts",
    "app.data",
)


@asynccontextmanager
async def _lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
    # Streamlit gave the server's loggers handlers of its own; a line per file helps nobody.
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in PRELOADED:
        import_module(name)
    # What is loaded stays: a page of many suppliers is not stopped to look through all of it.
    gc.collect()
    gc.freeze()
    squeezing = asyncio.create_task(asyncio.to_thread(compress_ahead))
    warming = asyncio.create_task(asyncio.to_thread(passwords.warm_up))
    yield {}
    await squeezing
    await warming


def say_sorry(error: Exception) -> bool:
    """Show a sentence and a reference instead of a stack trace, which goes to the log.

    Returns True: Streamlit then shows nothing of its own.
    """
    if isinstance(error, SignedOut):
        st.warning(str(error), icon=":material/lock:")
        return True
    reference = secrets.token_hex(4)
    log.error(
        "Screen failed, reference %s",
        reference,
        exc_info=error,
        extra={"action": "screen.failed", "reference": reference},
    )
    if isinstance(error, TowerError):
        st.error(f"{error}\n\nReference {reference}", icon=":material/cloud_off:")
    else:
        st.error(
            "This page could not be drawn. Nothing was changed or lost. Reload it; if it fails "
            f"again, give support the reference {reference}, under which the log has the details.",
            icon=":material/error:",
        )
    return True


def build(chosen: Settings) -> st.App:
    """The screens behind the gate, with the pages of sign-in before it."""
    door = SignIn(chosen)
    routes = [*door.routes(), *OwnPassword(door).routes()]
    if chosen.oidc_issuer is not None:
        # Only who uses it pays for it, and reads what its library says of its own future.
        from app.oidc import Provider, ProviderSignIn

        routes += ProviderSignIn(door, Provider(chosen)).routes()
    return st.App(
        MAIN,
        lifespan=_lifespan,
        on_script_error=say_sorry,
        routes=routes,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(LocalOrigin),
            Middleware(CompressedStatic),
            Middleware(Gate),
        ],
    )


def run(chosen: Settings) -> None:
    """Serve the screens at TOWER_UI_HOST and TOWER_UI_PORT until told to stop."""
    refuse_open_air(chosen)
    # Streamlit checks and prints by these, whoever starts the server.
    os.environ.setdefault("STREAMLIT_SERVER_COOKIE_SECRET", secrets.token_hex(32))
    os.environ["STREAMLIT_SERVER_ADDRESS"] = chosen.ui_host
    os.environ["STREAMLIT_SERVER_PORT"] = str(chosen.ui_port)
    uvicorn.run(
        build(chosen),
        host=chosen.ui_host,
        port=chosen.ui_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,  # open pages hold a connection for as long as they are open
        ws_max_size=60 * 1024 * 1024,
    )


def refuse_open_air(chosen: Settings) -> None:
    """Raise ConfigError where people would send their passwords over a network in the clear."""
    home = urlsplit(chosen.base_url)
    if home.scheme != "https" and not is_loopback(home.hostname or ""):
        raise ConfigError(
            f"TOWER_BASE_URL is {chosen.base_url}: other machines would send passwords without "
            "encryption. Put a proxy with a certificate before the screens and set TOWER_BASE_URL "
            "to its https address; docs/operations.md shows one."
        )


def main() -> int:
    """Serve until SIGTERM; 5 when a setting refuses."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        run(settings.load())
    except TowerError as error:
        sys.stderr.write(f"{error}\n")
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
