"""Names of what travels: the same from whichever side it is told.

A name is built from the viewpoint of the one who *sent* the document. The functional
acknowledgement comes back with the parties swapped and repeats group (AK102) and set (AK202)
numbers, so whoever reads it can build the same name without having seen the document.
"""

from __future__ import annotations

from functools import lru_cache

from collectors.envelope_faults import control


def party(qualifier: str, identifier: str) -> str:
    """An ISA05/06 or ISA07/08 pair as one word, written as in network.yaml: "01:123456789"."""
    return f"{qualifier.strip()}:{identifier.strip()}"


def stream(sender: str, receiver: str) -> str:
    """The interchanges from one sender to one receiver, whose ISA13 goes up by one."""
    return f"x12:interchange:{sender}/{receiver}"


@lru_cache(maxsize=1024)
def interchange_id(sender: str, receiver: str, isa13: str) -> str:
    return f"x12:interchange:{sender}/{receiver}/{control(isa13)}"


@lru_cache(maxsize=1024)
def group_id(sender: str, receiver: str, functional_id: str, gs06: str) -> str:
    return f"x12:group:{sender}/{receiver}/{functional_id.strip()}/{control(gs06)}"


def set_id(sender: str, receiver: str, functional_id: str, gs06: str, st02: str) -> str:
    return _sets(sender, receiver, functional_id, gs06) + control(st02)


@lru_cache(maxsize=1024)
def _sets(sender: str, receiver: str, functional_id: str, gs06: str) -> str:
    return f"x12:set:{sender}/{receiver}/{functional_id.strip()}/{control(gs06)}/"
