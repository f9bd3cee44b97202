"""Pictures in mails and PDFs: PNG bytes drawn without a browser.

Figures are made without pyplot, which keeps them in a registry that no thread may share. matplotlib
is loaded when the first picture is drawn: most worker processes never draw one.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from tower.telling import share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, ACCENT, SECOND, TARGET, GRID = (
    "#16202C",
    "#5B6B7C",
    "#0F766E",
    "#B45309",
    "#B42318",
    "#E2E8F0",
)
MAIL_DPI = 192  # twice what a mail shows: sharp on a phone

# The same bytes from the same figures: what a mail froze can be made again and compared.
_METADATA = {"Software": None, "Creation Time": None}


@dataclass(frozen=True, slots=True)
class Line:
    """A course: shares 0..1, None where there is no data. ``dashed`` tells it apart in grey."""

    name: str
    values: Sequence[float | None]
    dashed: bool = False


def shares(days: Sequence[date], lines: Sequence[Line], target: float | None) -> bytes:
    """Courses of shares over time with their target, for a mail. ``days`` begin each part."""
    figure = _figure(6.0, 2.75)
    axes = figure.add_subplot()
    _plain(axes)
    known = [v for line in lines for v in line.values if v is not None]
    low = max(0.0, min([*known, target or 1.0]) - 0.08)
    axes.set_ylim(low * 100, 100.5)
    places = list(range(len(days)))
    ends: list[tuple[float, str, str]] = []
    for line, colour in zip(lines, (ACCENT, SECOND, MUTED), strict=False):
        values = [float("nan") if v is None else v * 100 for v in line.values]
        axes.plot(
            places, values, color=colour, lw=2.4, ls="--" if line.dashed else "-", marker="o",
            ms=4.5, mec="white", mew=0.9, clip_on=False, zorder=3,
        )  # fmt: skip
        last = next((v for v in reversed(line.values) if v is not None), None)
        if last is not None:
            ends.append((last * 100, f"{line.name} {share(last)}", colour))
    if target is not None:
        axes.axhline(target * 100, color=TARGET, ls=(0, (4, 3)), lw=1.2, zorder=2)
        axes.annotate(
            f"target {share(target)}", (0, target * 100), (0, 3), textcoords="offset points",
            color=TARGET, fontsize=9.5, va="bottom",
        )  # fmt: skip
    _name_ends(axes, len(days) - 1, ends, 101.5 - low * 100)
    axes.set_xticks(places, [_day(d) for d in days])
    _thin_labels(axes, 5)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.yaxis.set_major_locator(_ticks(4))
    return _png(figure)


def trend(
    labels: Sequence[str], scores: Sequence[float | None], limits: Sequence[tuple[float, str]]
) -> bytes:
    """Scores by period with the bands of their standings, for a page. ``limits`` rise."""
    figure = _figure(4.9, 1.9)
    axes = figure.add_subplot()
    _plain(axes)
    axes.set_ylim(0, 102)
    edges = [0.0, *(limit for limit, _ in limits), 100.0]
    for n in range(len(edges) - 1):
        if n % 2:
            axes.axhspan(edges[n], edges[n + 1], color="#F1F5F9", zorder=0)
    for limit, word in limits:
        axes.annotate(
            word, (1.0, limit), (4, 1), xycoords=("axes fraction", "data"),
            textcoords="offset points", color=MUTED, fontsize=7.5, va="bottom",
        )  # fmt: skip
    places = list(range(len(labels)))
    values = [float("nan") if s is None else s for s in scores]
    axes.plot(places, values, color=ACCENT, lw=2, marker="o", ms=5, mec="white", zorder=3)
    for place, value in enumerate(scores):
        if value is not None:
            axes.annotate(
                f"{value:.0f}", (place, value), (0, 6), textcoords="offset points",
                ha="center", fontsize=8.5, color=INK, fontweight="bold",
            )  # fmt: skip
        else:
            axes.annotate("no data", (place, 4), ha="center", fontsize=7.5, color=MUTED, zorder=4)
    axes.set_xticks(places, list(labels))
    axes.set_xlim(-0.4, len(labels) - 0.6)
    axes.set_yticks([0, 50, 100])
    return _png(figure)


def answers(
    points: Sequence[tuple[float, float]], budget: float | None, in_time: float | None
) -> bytes:
    """The share answered over open hours, with the time that an order gets, for a page."""
    figure = _figure(4.9, 1.9)
    axes = figure.add_subplot()
    _plain(axes)
    hours = [0.0, *(h for h, _ in points)]
    done = [0.0, *(share * 100 for _, share in points)]
    # Rare stragglers would press all others against the axis.
    most = [h for h, share in points if share <= 0.985] or hours
    right = max(most[-1] * 1.08, (budget or 0) * 1.35, 1.0)
    hours, done = [*hours, max(hours[-1], right)], [*done, done[-1]]
    axes.step(hours, done, where="post", color=ACCENT, lw=2, zorder=3)
    axes.fill_between(hours, done, step="post", color=ACCENT, alpha=0.08, lw=0)
    axes.set_xlim(0, right)
    axes.set_ylim(0, 102)
    if budget is not None:
        axes.axvline(budget, color=TARGET, ls=(0, (4, 3)), lw=1.1)
        said = f"due after {budget:.3g} h"
        if in_time is not None:
            said += f": {share(in_time)} answered"
        axes.annotate(
            said, (budget, 8), (5, 0), textcoords="offset points", color=TARGET, fontsize=8
        )
    axes.set_xlabel("open hours since the order was sent", fontsize=8, color=MUTED)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.set_yticks([0, 50, 100])
    axes.xaxis.set_major_locator(_ticks(8))
    return _png(figure)


# --- shared ---------------------------------------------------------------------------------------


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#CBD5E1")
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9.5, labelcolor=MUTED)


def _name_ends(
    axes: Axes, place: int, ends: Sequence[tuple[float, str, str]], height: float
) -> None:
    """The name of each line at its end, moved apart where they would overlap."""
    gap, below = height * 0.085, -1e9
    for value, words, colour in sorted(ends):
        at = max(value, below + gap)
        below = at
        axes.annotate(
            words, (place, at), (9, 0), textcoords="offset points", va="center", color=colour,
            fontsize=10.5, fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def _thin_labels(axes: Axes, most: int) -> None:
    labels = axes.get_xticklabels()
    step = max(1, -(-len(labels) // most))
    for n, label in enumerate(labels):
        label.set_visible((len(labels) - 1 - n) % step == 0)


def _ticks(most: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, integer=True, steps=[1, 2, 5, 10])


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=MAIL_DPI, metadata=_METADATA)
    return buffer.getvalue()
