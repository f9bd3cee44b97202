"""Reading the scripts and styles that lie beside the components."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def asset(name: str) -> str:
    """The text of a script or style of this folder."""
    return (HERE / name).read_text(encoding="utf-8")
