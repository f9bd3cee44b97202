"""What goes wrong outside every rule: files nobody can read, so that the demo has dead letters.

They are made from files that came, so they look like the real thing: the same interchange under a
sender whom the network does not know, and interchanges whose transfer broke off.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from worker.demo.stage import Doors

STRANGERS = 5  # files of a sender who is not in the network
BROKEN = 3  # files that end before their end
_SENDER = re.compile(rb"(ISA[*|][^~]{31})(.{15})([*|])")
NOBODY = b"0847719350     "
LOOKED_AT = 400  # newest finished files that are looked at


def play(doors: Doors, at: datetime) -> int:
    """Put the files through the door of incoming EDI, as of ``at``; how many."""
    door = doors.folder / "edi_in"
    made = _made(_answers(door / "done"))
    for n, body in enumerate(made, start=1):
        path = door / f"mishap-{at:%Y%m%d%H%M%S}-{n}.edi"
        half = path.with_name(path.name + ".tmp")
        half.write_bytes(body)
        half.rename(path)
    return len(made)


def _answers(done: Path) -> list[bytes]:
    """The newest acknowledgements of orders among the finished files."""
    newest = sorted(done.rglob("*.edi"))[-LOOKED_AT:]  # in folders by day
    bodies = (path.read_bytes() for path in reversed(newest))
    return [body for body in bodies if re.search(rb"ST[*|]855[*|]", body)]


def _made(answers: list[bytes]) -> list[bytes]:
    strangers = [
        body[: found.start(2)] + NOBODY + body[found.end(2) :]
        for body in answers[:STRANGERS]
        if (found := _SENDER.match(body)) is not None
    ]
    broken = [
        body[: body.index(b"BAK") + 12]
        for body in answers[STRANGERS : STRANGERS + BROKEN]
        if b"BAK" in body
    ]
    return [*strangers, *broken]
