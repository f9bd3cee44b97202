"""What a viewer may see. Every read function takes a scope; nothing is read without one."""

from __future__ import annotations

from dataclasses import dataclass

from tower.identity import partner_id


@dataclass(frozen=True, slots=True)
class Scope:
    """Partners whose rows may be read; ``partners`` None means all of them.

    Rows without a partner (our own sources, customer orders) belong to viewers of all partners.
    """

    partners: frozenset[str] | None = None

    @property
    def sees_all(self) -> bool:
        return self.partners is None

    @property
    def partner_ids(self) -> list[int] | None:
        """Partner numbers for SQL, sorted; None for no restriction."""
        return None if self.partners is None else sorted(partner_id(p) for p in self.partners)


EVERYTHING = Scope()
