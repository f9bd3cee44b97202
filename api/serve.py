"""``python -m api.serve``: the machine door under uvicorn, on this machine only."""

from __future__ import annotations

import sys

import uvicorn

from api.main import create_app
from db.engine import connect
from tower import settings
from tower.errors import DatabaseAway, TowerError


def main() -> int:
    """Serve until SIGTERM; 5 when a setting refuses, 4 while there is no database to be found."""
    try:
        chosen = settings.load()
        app = create_app(connect(chosen), keys_required=chosen.api_keys == "required")
    except DatabaseAway as error:
        sys.stderr.write(f"{error}\n")
        return 4
    except TowerError as error:
        sys.stderr.write(f"{error}\n")
        return 5
    uvicorn.run(
        app,
        host=chosen.api_host,
        port=chosen.api_port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
