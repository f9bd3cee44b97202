"""Who gives a command: the name that audits and histories keep."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

By = Annotated[str, typer.Option(help="Who says so; default: the user of this machine.")]


def user() -> str:
    """Name of the user of this machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this user on this machine
        return "command"
