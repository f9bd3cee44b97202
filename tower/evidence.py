"""Evidence words of a rule: which sources could have brought the event that is missing.

A word names a source, a system (all sources of it), a kind of system, or ``supplier.feeds``: the
feeds that bring the answers of the supplier in question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from tower.network import Network, Source
from tower.signs import Evidence

SUPPLIER_FEEDS = "supplier.feeds"


class _Names(Protocol):
    @property
    def sources(self) -> Mapping[str, Any]: ...
    @property
    def systems(self) -> Mapping[str, Any]: ...


def evidence_words(network: _Names) -> frozenset[str]:
    """All words that evidence may use with this network."""
    kinds = {system.kind for system in network.systems.values()}
    return frozenset({SUPPLIER_FEEDS, *network.sources, *network.systems, *kinds})


def resolve(words: Iterable[str], network: Network, partner: str | None) -> tuple[Evidence, ...]:
    """The sources behind evidence words for a subject of this partner, each once, by name."""
    names: set[str] = set()
    for word in words:
        if word == SUPPLIER_FEEDS:
            profile = network.partners.get(partner or "")
            names.update(profile.feeds if profile else ())
        elif word in network.sources:
            names.add(word)
        else:
            names.update(
                name
                for name, source in network.sources.items()
                if word in (source.system, network.systems[source.system].kind)
            )
    return tuple(
        of_source(name, network.sources[name]) for name in sorted(names & network.sources.keys())
    )


def of_source(name: str, source: Source) -> Evidence:
    """How long this source may be quiet before clocks stop trusting it."""
    if source.is_pull:
        return Evidence(name, 2 * source.every, pull=True)
    return Evidence(name, source.silent_after, pull=False)
