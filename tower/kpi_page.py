"""docs/kpis.md, written from the catalogue: every figure with its formula and what it leaves out.

``python -m tower.kpi_page > docs/kpis.md`` writes it anew; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from tower import kpi_catalogue, kpi_house, kpi_supply
from tower.kpi_catalogue import LEAST_WEIGHT, WEIGHTS
from tower.kpi_definition import Definition
from tower.kpi_why import OUT

GROUPS: Sequence[tuple[str, Sequence[Definition]]] = (
    ("Answers", kpi_supply.ANSWERS),
    ("Shipments", kpi_supply.SHIPMENTS),
    ("Goods, orders and invoices", kpi_supply.FULFILMENT),
    ("Customers that wait", kpi_house.CUSTOMERS),
    ("Messages, queues and feeds", kpi_house.MESSAGES),
    ("Exceptions", kpi_house.CASES),
    ("Suppliers", kpi_catalogue.SCORES),
)

HEAD = """\
# Figures

What each figure means, what it leaves out and which choices it offers. This page is written from
`tower/kpi_catalogue.py` by `python -m tower.kpi_page`. Screens, mails, the read API and
`tower kpi` give the same figures, for all of them ask `db/reads/figures.py`.

## Rules for all

- **No data is a value.** Below its minimum sample (5 unless said otherwise) a figure is "no data
  (2 of 5)": never 0 or 100 %, no colour, no rank, a gap in charts, null in exports.
- Rates count what fell **due** in the period, durations what **ended** in it; figures marked *now*
  tell of this moment. What is not due yet, not measured, or unknown while a feed is silent is in
  neither numerator nor denominator and is told beside. `coverage` is the share that could be
  judged.
- Days compare as days, in the zone of the site or partner; the same day is on time. Instants
  compare as instants. Periods, weeks (from Monday) and months are cut in UTC.
- Receipts of one line **add up**: it is complete when their sum reaches what was ordered. Surplus
  never makes up for another line.
- What we cancel before it is due is left out; what the supplier takes back is missed.
- A miss stays a miss; "healed late" tells how many were completed later. Only evidence of before
  the due instant takes it back.
- Counts are pooled, rates never averaged. `interval` is the 95 % Wilson score interval.
- Money is added up in the company's currency only; other currencies and lines without a price are
  told beside.
- **Category** is that of goods, as the ERP keeps it with a line (`docs/events.md`, `category`). A
  line counts under its own. An order, and what is told of whole orders and their notices, counts as
  a whole under each category that one of its lines has, so that the categories may add up to more
  than all; a case about one line counts under that line's. What has no goods (messages, queues,
  feeds, invoices) says so. **Topic** is the category of an exception or of a cause, and of messages
  the document and hop.
- Every figure opens its subjects (`--subjects`), each in or out and why. Facts that come late
  change the past: figures are counted from the documents as they are known now, and subjects of
  which something was learnt after the period are marked (`restated`).
- The last 30 days are 30 whole days, UTC, and today so far; the period before has as many days.
- From 200,000 documents on, what the leaders' pages count is **counted ahead**: the worker counts
  the documents of each week of release, by day and party, adds them up by day and calendar week,
  and counts a week anew within minutes after something of it changed (a tenth of its time at
  most). `as_of` then tells when. Counts, shares, amounts and days are exact. Times to acknowledge
  are kept in steps of 2 %: their p50, p90 and p95 may be off by 1 %, and what lies beside them is
  not told. Choices that are not the usual ones, two parties at once, categories of goods, and lists
  of subjects are always asked of the documents. The list of differences at receipt begins with the
  lines found by the last count and tells of them what is known now.

"""


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for name, group in GROUPS:
        yield f"## {name}"
        yield ""
        for one in group:
            yield from _figure(one)
    yield "## Words under which subjects are left out"
    yield ""
    yield "| word | meaning |"
    yield "|---|---|"
    for word, meaning in sorted(OUT.items()):
        yield f"| {word} | {meaning} |"
    yield ""
    yield "## The supplier score"
    yield ""
    told = ", ".join(f"`{name}` {weight}" for name, weight in WEIGHTS.items())
    yield (
        f"Usual weights: {told}. The rule book may say others (`scorecard`). A component below its "
        f"minimum sample drops out; with less than {LEAST_WEIGHT} of 100 weights left there is no "
        "score."
    )


def _figure(one: Definition) -> Iterator[str]:
    yield f"### `{one.id}`"
    yield ""
    now = " *now*" if one.snapshot else ""
    yield f"**{one.name}**{now}: {one.formula}."
    yield ""
    yield f"- Left out: {one.outside}."
    goal = f"goal {_target(one)}, " if one.target is not None else ""
    better = "higher" if one.better == "up" else "lower"
    yield (
        f"- In {one.unit}; {goal}{better} is better; at least {one.least} {one.counts}; "
        f"definition {one.version}."
    )
    for name, words in one.switches.items():
        yield f"- Choice `{name}`: {', '.join(f'`{w}`' for w in words)}."
    yield f"- Told apart by {', '.join(one.dimensions) or 'nothing'}; opens {one.opens}."
    yield ""


def _target(one: Definition) -> str:
    if one.unit == "%":
        return f"{100 * (one.target or 0):g} %"
    return f"{one.target:g} {one.unit}"


if __name__ == "__main__":
    sys.stdout.write(page())
