"""Where the fields of events came from, worked out only when somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tower.raw import Origin


class LazyOrigins(Mapping[int, tuple[Origin, ...]]):
    """Index of an event to the origins of its fields. Reading is frequent, looking is rare."""

    def __init__(self, sheets: Sequence[Callable[[], tuple[Origin, ...]]]) -> None:
        self._sheets = tuple(sheets)

    def __len__(self) -> int:
        return len(self._sheets)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._sheets)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]  # compared by content, like the dict it stands for

    def __getitem__(self, index: int) -> tuple[Origin, ...]:
        if not 0 <= index < len(self._sheets):
            raise KeyError(index)
        return self._sheets[index]()
