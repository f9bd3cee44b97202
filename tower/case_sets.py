"""Acting on several cases at once: what may be done to a frozen set, and the set's hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tower.errors import TowerError

ACTIONS = {
    "take": "Take",
    "release": "Give back",
    "snooze": "Snooze",
    "assign": "Assign",
    "resolve": "Resolve",
    "false_alarm": "Mark as false alarm",
    "note": "Add a note",
}
MOST = 500
"""Cases of one set: what one transaction acts on."""


class SetRefused(TowerError):
    """A set of cases cannot be made or acted on like this; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done to each case of a set.

    until   of snooze
    to      of assign: key of a person
    how     of resolve: repaired, accepted or false_alarm; ``cause`` where it is known
    text    what was done or is known; the reason of a false alarm
    """

    action: str
    until: datetime | None = None
    to: str = ""
    how: str = "repaired"
    cause: str | None = None
    text: str = ""

    def check(self) -> None:
        """Raise SetRefused where something is missing."""
        if self.action not in ACTIONS:
            raise SetRefused(f'"{self.action}" is no action; there are {", ".join(ACTIONS)}.')
        if self.action == "snooze" and self.until is None:
            raise SetRefused("Say until when they are to be quiet.")
        if self.action == "assign" and not self.to:
            raise SetRefused("Say to whom they go.")
        if self.action in ("resolve", "false_alarm", "note") and not self.text.strip():
            raise SetRefused("Say in a few words what was done, or what you know.")


def set_hash(numbers: Iterable[int]) -> bytes:
    """SHA-256 of the sorted numbers: what was picked is what is acted on."""
    return hashlib.sha256(",".join(map(str, sorted(set(numbers)))).encode("ascii")).digest()
