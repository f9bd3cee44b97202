"""``sign_in`` of network.yaml: what the groups of an identity provider may do in the tower."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, model_validator

from tower.access import Permission, Role
from tower.accounts import NotAnAccount, checked_rights
from tower.option_types import Strict


class Group(Strict):
    """What the people of one group may do: a role, some partners (none: all), grants."""

    role: Role
    partners: list[str] = Field(default_factory=list)
    grants: list[Permission] = Field(default_factory=list)

    @model_validator(mode="after")
    def _possible(self) -> Group:
        try:
            checked_rights(self.role, self.partners or None, self.grants)
        except NotAnAccount as error:
            raise ValueError(str(error)) from None
        return self


class SignIn(Strict):
    """groups_claim   claim of the identity token that lists a person's groups
    groups         group -> what it may do; of several the first in this list counts
    """

    groups_claim: Annotated[str, Field(min_length=1)] = "groups"
    groups: dict[str, Group] = Field(default_factory=dict)

    def of(self, groups: Iterable[str]) -> Group | None:
        """What somebody in these groups may do; None, nothing at all, if no group is known."""
        mine = set(groups)
        return next((group for name, group in self.groups.items() if name in mine), None)
