"""Overruns: stretches in which readings of one thing stayed over a limit.

A reading answers one or more questions ("is it too deep?", "is it too old?") with yes, no or
nothing. What is not said is never taken for a no. An overrun begins once one question was answered
yes for ``hold``, and is over once every one that made it was answered no for ``clear_after``.
Both are spoken only by a reading that confirms them; time alone opens and closes nothing.

The fold depends on the set of readings alone. It may go on from a ``Footing``, the state in which
an earlier fold stood, so that its cost does not grow with the age of what it judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

CLEAR = "clear"
OVER = "over"  # not long enough yet
OPEN = "open"
CLEARING = "clearing"  # under the limit again, not long enough yet


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured at one instant.

    over  per question: True over the limit, False not, None not said
    told  JSON values for the receipt, should an overrun begin here
    """

    at: datetime
    over: tuple[bool | None, ...]
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things must be true.

    hold         before an overrun begins; clear_after: before it is over
    reading_gap  two readings further apart than this do not speak of the time between them
    """

    hold: timedelta
    clear_after: timedelta
    reading_gap: timedelta


@dataclass(frozen=True, slots=True)
class Track:
    """How one question stands: ``since`` begins its stretch, ``seen`` is its last answer."""

    mode: str = CLEAR
    since: datetime | None = None
    seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class Overrun:
    """One stretch over the limit.

    since  the first reading over it; ``begun`` is ``hold`` after that
    over   when it was over, None while it lasts
    seen   last reading that spoke of it
    """

    number: int
    since: datetime
    begun: datetime
    seen: datetime
    over: datetime | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Footing:
    """The state after all readings up to ``at``: ``number`` overruns, ``current`` one lasting."""

    at: datetime
    number: int = 0
    tracks: tuple[Track, ...] = ()
    current: Overrun | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values; ``from_json`` reads it back equal."""
        now = self.current
        return {
            "at": self.at.isoformat(),
            "number": self.number,
            "tracks": [[t.mode, _text(t.since), _text(t.seen)] for t in self.tracks],
            "current": now
            and [
                now.number, now.since.isoformat(), now.begun.isoformat(), now.seen.isoformat(),
                dict(now.told),
            ],
        }  # fmt: skip

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Footing:
        now = body["current"]
        current = None
        if now is not None:
            number, since, begun, seen, told = now
            current = Overrun(
                number,
                datetime.fromisoformat(since),
                datetime.fromisoformat(begun),
                datetime.fromisoformat(seen),
                None,
                told,
            )
        return cls(
            datetime.fromisoformat(body["at"]),
            body["number"],
            tuple(Track(mode, _moment(a), _moment(b)) for mode, a, b in body["tracks"]),
            current,
        )


def walk(
    start: Footing, readings: Iterable[Reading], patience: Patience
) -> tuple[tuple[Overrun, ...], Footing]:
    """Overruns from ``start`` on, the one that lasts last, and the state after the last reading.

    Readings at or before ``start.at`` are passed over; of equal instants the first one counts.
    """
    state, closed = start, list[Overrun]()
    for reading in sorted(readings, key=lambda r: r.at):
        if reading.at <= state.at:
            continue
        state, over = _step(state, reading, patience)
        if over is not None:
            closed.append(over)
    lasting = () if state.current is None else (state.current,)
    return (*closed, *lasting), state


def _step(state: Footing, reading: Reading, patience: Patience) -> tuple[Footing, Overrun | None]:
    before = state.tracks or (Track(),) * len(reading.over)
    tracks, begun, ended, since = list[Track](), list[datetime](), list[datetime](), reading.at
    for track, over in zip(before, reading.over, strict=True):
        moved = track
        if over is not None:
            broken = track.seen is not None and reading.at - track.seen > patience.reading_gap
            moved = _answered(track, over, reading.at, broken)
            if moved.mode == OVER and reading.at - _known(moved) >= patience.hold:
                begun.append(_known(moved) + patience.hold)
                since = min(since, _known(moved))
                moved = replace(moved, mode=OPEN)
            elif moved.mode == CLEARING and reading.at - _known(moved) >= patience.clear_after:
                ended.append(_known(moved) + patience.clear_after)
                moved = Track(CLEAR, None, reading.at)
        tracks.append(moved)
    number, current, finished = state.number, state.current, None
    if current is None and begun:
        number += 1
        current = Overrun(number, since, min(begun), reading.at, None, reading.told)
    if current is not None:
        lasting = [t for t in tracks if t.mode in (OPEN, CLEARING)]
        if lasting:
            current = replace(current, seen=max([current.seen, *filter(None, _seen(lasting))]))
        else:
            finished, current = replace(current, over=max(ended, default=reading.at)), None
    return Footing(reading.at, number, tuple(tracks), current), finished


def _answered(track: Track, over: bool, at: datetime, broken: bool) -> Track:
    """The track after a yes or a no, before any waiting time is looked at."""
    if over:
        if track.mode == CLEAR or (track.mode == OVER and broken):
            return Track(OVER, at, at)
        mode = OPEN if track.mode == CLEARING else track.mode
        return Track(mode, track.since, at)
    if track.mode in (CLEAR, OVER):
        return Track(CLEAR, None, at)
    if track.mode == OPEN or broken:
        return Track(CLEARING, at, at)
    return Track(CLEARING, track.since, at)


def _seen(tracks: Sequence[Track]) -> list[datetime | None]:
    return [track.seen for track in tracks]


def _known(track: Track) -> datetime:
    if track.since is None:
        raise ValueError(f"a track that is {track.mode} has no beginning")
    return track.since


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
