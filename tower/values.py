"""Values made by the million: dataclasses that nobody may change, without the price of freezing.

A frozen dataclass sets each field through ``object.__setattr__``, which takes two thirds of the
time of making one. Here the type checker alone refuses a change; equality, hash and slots are those
of any dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[_T]) -> type[_T]:
    """A dataclass with slots, frozen to the type checker."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
