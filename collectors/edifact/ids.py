"""Names of what travels: the same from whichever side it is told.

A name is built from the viewpoint of the one who *sent* the document. A CONTRL comes back with the
parties swapped and repeats interchange (UCI 0020) and message (UCM 0062) references, so whoever
reads it can build the same name without having seen the document. Qualifiers of parties (0007) are
left out: many translators do not repeat them in UCI.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from collectors.envelope_faults import control
from tower.numerals import natural

LONGEST = 14
"""Digits of a 0020."""


def stream(sender: str, receiver: str) -> str:
    """The interchanges from one sender to one receiver, where 0020 counts them.

    The application reference (0026) does not part them: the standard has 0020 unique between two
    parties, and most senders count all that goes to one receiver together. Taken by application,
    each share would look full of holes.
    """
    return f"edifact:interchange:{sender}/{receiver}"


def counted(reference: str, day: str, clock: str) -> int | None:
    """The number of an interchange (0020); None if it does not count.

    References with letters count nothing, and neither do those that tell the time: their date and
    time are those of the interchange (0017, 0019), or they are seconds or milliseconds since 1970.
    Two of them that lie a second apart would have a hole between them.
    """
    number = natural(reference, LONGEST)
    if number is None:
        return None
    if len(day) >= 6 and len(clock) == 4 and day[-6:] + clock in reference:
        return None
    return None if len(reference) in (10, 13) and _is_now(number, day) else number


def _is_now(number: int, day: str) -> bool:
    """Whether seconds or milliseconds since 1970 fall on this day, or the ones beside it."""
    try:
        begins = datetime.strptime(day[-6:], "%y%m%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return False
    seconds = number if number < 10**10 else number / 1000
    return abs(seconds - begins - 43200) < 2 * 86400


@lru_cache(maxsize=1024)
def interchange_id(sender: str, receiver: str, reference: str) -> str:
    return f"edifact:interchange:{sender}/{receiver}/{control(reference)}"


@lru_cache(maxsize=1024)
def group_id(sender: str, receiver: str, interchange: str, reference: str) -> str:
    return f"edifact:group:{sender}/{receiver}/{control(interchange)}/{control(reference)}"


def message_id(sender: str, receiver: str, interchange: str, reference: str) -> str:
    return f"edifact:message:{sender}/{receiver}/{control(interchange)}/{control(reference)}"
