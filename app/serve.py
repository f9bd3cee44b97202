"""The server of the screens: Streamlit as an ASGI app behind our own middleware.

``python -m app.serve`` is what `tower ui` starts; ``app`` alone serves under any ASGI server.
Settings of Streamlit are in ``app/.streamlit/config.toml``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import streamlit as st
import uvicorn
from starlette.middleware import Middleware

from app.middleware import CompressedStatic, LocalOrigin, SecurityHeaders, compress_ahead
from tower import settings
from tower.errors import TowerError
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
    squeezing = asyncio.create_task(asyncio.to_thread(compress_ahead))
    yield {}
    await squeezing


def say_sorry(error: Exception) -> bool:
    """Show a sentence and a reference instead of a stack trace, which goes to the log.

    Returns True: Streamlit then shows nothing of its own.
    """
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


app = st.App(
    MAIN,
    lifespan=_lifespan,
    on_script_error=say_sorry,
    middleware=[
        Middleware(SecurityHeaders),
        Middleware(LocalOrigin),
        Middleware(CompressedStatic),
    ],
)


def run(chosen: Settings) -> None:
    """Serve the screens at TOWER_UI_HOST and TOWER_UI_PORT until told to stop."""
    # Streamlit checks and prints by these, whoever starts the server.
    os.environ.setdefault("STREAMLIT_SERVER_COOKIE_SECRET", secrets.token_hex(32))
    os.environ["STREAMLIT_SERVER_ADDRESS"] = chosen.ui_host
    os.environ["STREAMLIT_SERVER_PORT"] = str(chosen.ui_port)
    uvicorn.run(
        app,
        host=chosen.ui_host,
        port=chosen.ui_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,  # open pages hold a connection for as long as they are open
        ws_max_size=60 * 1024 * 1024,
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
