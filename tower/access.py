"""What a viewer may see. Every read function takes a scope; nothing is read without one."""

from __future__ import annotations

from dataclasses import dataclass

from tower.identity import partner_id
from tower.masking import ALL


@dataclass(frozen=True, slots=True)
class Scope:
    """Partners whose rows may be read; ``partners`` None means all of them.

    Rows without a partner (our own sources, customer orders) belong to viewers of all partners.
    ``reveals``: classes of values (tower/masking.py) that are shown; all others are masked before
    anything is searched, compared or exported.
    """

    partners: frozenset[str] | None = None
    reveals: frozenset[str] = ALL

    @property
    def sees_all(self) -> bool:
        return self.partners is None

    @property
    def partner_ids(self) -> list[int] | None:
        """Partner numbers for SQL, sorted; None for no restriction."""
        return None if self.partners is None else sorted(partner_id(p) for p in self.partners)


EVERYTHING = Scope()
