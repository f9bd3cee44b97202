"""Precision of a rule: how many of its judged alerts were worth telling."""

from __future__ import annotations

from dataclasses import dataclass

JUDGEMENTS = 20  # the latest ones that a doubt rests on
DOUBTED_UNDER = 0.5


@dataclass(frozen=True, slots=True)
class Precision:
    """Judged cases of one rule. A case that its owner repaired was useful.

    useful, false_alarms   of all that were judged
    latest, latest_useful  of the latest twenty
    """

    rule: str
    useful: int = 0
    false_alarms: int = 0
    latest: int = 0
    latest_useful: int = 0

    @property
    def judged(self) -> int:
        return self.useful + self.false_alarms

    @property
    def share(self) -> float | None:
        """Useful of judged, 0 to 1; None before anybody judged."""
        return self.useful / self.judged if self.judged else None

    @property
    def doubtful(self) -> bool:
        """Whether fewer than half of its latest twenty judgements were useful.

        Told in the digest; nothing mutes itself.
        """
        return self.latest >= JUDGEMENTS and self.latest_useful / self.latest < DOUBTED_UNDER
