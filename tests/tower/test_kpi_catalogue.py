"""The catalogue, its page and its choices; the arithmetic that all figures share."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from pathlib import Path

import pytest

from db.reads.figures import MAKERS, SCORE
from tower import kpi_page, kpi_score
from tower.kpi_catalogue import DEFINITIONS, WEIGHTS, UnknownChoice, check_dimension, chosen
from tower.kpi_sums import Sums, figure_of
from tower.kpi_why import OUT, why
from tower.kpis import Figure

DOCS = Path(__file__).resolve().parents[2] / "docs"
CATALOGUE = [
    "ack_on_time",
    "ack_cycle_clock",
    "ack_cycle_business",
    "first_confirm",
    "commit_reliability",
    "fa_rate",
    "asn_on_time",
    "asn_valid",
    "asn_accurate",
    "shipped_on_time",
    "otif",
    "fill_line",
    "fill_unit",
    "fill_value",
    "fill_first",
    "perfect_order",
    "lead_time",
    "lead_time_var",
    "unit_days_late",
    "invoice_match",
    "value_at_risk",
    "orders_affected",
    "promise_reliability",
    "hop_latency",
    "partner_error_rate",
    "queue_depth",
    "retry_count",
    "exception_age",
    "mtta",
    "mttr",
    "alert_precision",
    "feed_freshness",
    "coverage",
    "auto_healed",
    "supplier_score",
]


def test_the_page_is_written_from_the_catalogue() -> None:
    assert (DOCS / "kpis.md").read_text(encoding="utf-8") == kpi_page.page(), (
        "write it anew: python -m tower.kpi_page > docs/kpis.md"
    )


def test_every_figure_of_the_design_is_defined_counted_and_on_the_page() -> None:
    assert set(CATALOGUE) | {"open_exceptions"} == set(DEFINITIONS)
    assert set(MAKERS) | {SCORE} == set(DEFINITIONS)
    told = [one.id for _, group in kpi_page.GROUPS for one in group]
    assert sorted(told) == sorted(DEFINITIONS)
    page = kpi_page.page()
    for one in DEFINITIONS.values():
        assert f"### `{one.id}`" in page
        assert one.formula in page
        assert one.outside in page


def test_choices_have_defaults_and_unknown_ones_are_refused_with_what_is_known() -> None:
    otif = DEFINITIONS["otif"]
    assert chosen(otif, {}) == {"side": "supply", "date": "first_confirmed", "per": "line"}
    customer = {"side": "customer", "date": "last_promised", "per": "line"}
    assert chosen(otif, {"date": "last_promised"}) == customer
    assert chosen(otif, {"side": "customer"})["date"] == "first_promised"
    with pytest.raises(UnknownChoice, match="no switch"):
        chosen(DEFINITIONS["ack_on_time"], {"date": "requested"})
    with pytest.raises(UnknownChoice, match="line, order, value"):
        chosen(otif, {"per": "unit"})
    with pytest.raises(UnknownChoice, match="on the side of supply"):
        chosen(otif, {"side": "supply", "date": "first_promised"})
    with pytest.raises(UnknownChoice, match="What it counts has no category of goods"):
        check_dimension(DEFINITIONS["invoice_match"], "category")
    with pytest.raises(UnknownChoice, match="Only cases, what is at risk and messages"):
        check_dimension(otif, "topic")
    with pytest.raises(UnknownChoice, match="It tells of now"):
        check_dimension(DEFINITIONS["queue_depth"], "week")


def test_a_median_that_lies_among_the_unanswered_is_told_as_over() -> None:
    ack = DEFINITIONS["ack_cycle_clock"]
    told = figure_of(
        ack, Sums(n=6, hits=2, quantiles={"p50": inf, "p90": inf}, so_far={"p50": 30, "p90": 70})
    )
    assert (told.value, told.over, told.beside["p90"]) == (30, True, 70)
    few = figure_of(ack, Sums(n=4, hits=4, quantiles={"p50": 3.0}))
    assert (few.value, few.reason, few.beside) == (None, "no data (4 of 5)", {})


def test_units_of_measure_and_currencies_never_add_up() -> None:
    weighed = Sums(
        n=9, hits=5, amount=Decimal(5), weight=Decimal(10), units={"EA": (9, None)}, weighed=True
    )
    assert figure_of(DEFINITIONS["fill_unit"], weighed).value == 0.5
    assert figure_of(DEFINITIONS["fill_unit"], weighed).interval is None
    mixed = Sums(n=9, weight=Decimal(9), units={"EA": (5, None), "KG": (4, None)}, weighed=True)
    found = figure_of(DEFINITIONS["fill_unit"], mixed)
    assert found.value is None
    assert "EA, KG" in found.reason
    money = Sums(n=3, units={"EUR": (2, Decimal(50)), "JPY": (1, Decimal(9000))})
    risk = figure_of(DEFINITIONS["value_at_risk"], money)
    assert (risk.value, risk.currency, risk.parts) == (Decimal(50), "EUR", {"JPY": "9,000"})


def _component(name: str, value: float | None) -> Figure:
    return Figure(DEFINITIONS[name], value, 10)


def test_a_score_is_perfect_at_its_targets_and_never_falls_when_a_part_rises() -> None:
    perfect = {name: _component(name, DEFINITIONS[name].target) for name in WEIGHTS}
    assert kpi_score.score(perfect).value == pytest.approx(100)
    for name in WEIGHTS:
        scores = [
            float(kpi_score.score({**perfect, name: _component(name, share / 10)}).value or 0)
            for share in range(11)
        ]
        assert scores == sorted(scores)
        assert scores[-1] == pytest.approx(100)


def test_a_score_of_less_than_sixty_weights_is_no_data() -> None:
    whole = {name: _component(name, 1.0) for name in WEIGHTS}
    without = {**whole, **{n: _component(n, None) for n in ("otif", "commit_reliability")}}
    found = kpi_score.score(without)
    assert (found.value, found.reason) == (None, "no data (55 of 60 weights known)")
    assert kpi_score.score({**whole, "otif": _component("otif", None)}).value == pytest.approx(100)


def test_every_word_of_a_verdict_has_a_sentence() -> None:
    otif = DEFINITIONS["otif"]
    assert why(otif, "miss", {"due": "2026-03-02", "came_by_due": 4, "x": None}, healed=True) == (
        "in, a miss healed late: due 2026-03-02, came by due 4"
    )
    assert why(otif, "pending", {}) == f"out, {OUT['pending']}"
    assert why(DEFINITIONS["partner_error_rate"], "hit", {}) == "in, failed"
