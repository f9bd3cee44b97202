"""Names of what travels: the same from whichever side it is told.

A name is built from the viewpoint of the one who *sent* the document. A CONTRL comes back with the
parties swapped and repeats interchange (UCI 0020) and message (UCM 0062) references, so whoever
reads it can build the same name without having seen the document. Qualifiers of parties (0007) are
left out: many translators do not repeat them in UCI.
"""

from __future__ import annotations

from functools import lru_cache


def control(reference: str) -> str:
    """A reference without the zeros in front: some translators keep them, some do not."""
    text = reference.strip()
    return text.lstrip("0") or text[:1]


@lru_cache(maxsize=1024)
def interchange_id(sender: str, receiver: str, reference: str) -> str:
    return f"edifact:interchange:{sender}/{receiver}/{control(reference)}"


@lru_cache(maxsize=1024)
def group_id(sender: str, receiver: str, interchange: str, reference: str) -> str:
    return f"edifact:group:{sender}/{receiver}/{control(interchange)}/{control(reference)}"


def message_id(sender: str, receiver: str, interchange: str, reference: str) -> str:
    return f"edifact:message:{sender}/{receiver}/{control(interchange)}/{control(reference)}"
