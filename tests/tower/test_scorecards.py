"""Scores, standings, comparisons and drift; how wrong words of a scorecard are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower.errors import ConfigError
from tower.lint import lint
from tower.network import load_network
from tower.rulebook import load_rulebook
from tower.scorecards import (
    Measured,
    ScorecardSpec,
    compare,
    drift,
    score,
    score_value,
    standing,
)

ROOT = Path(__file__).resolve().parents[2]
SPEC = ScorecardSpec()
NAMES = tuple(SPEC.figures)
measured = st.fixed_dictionaries(
    {},
    optional={
        name: st.builds(
            Measured, st.none() | st.floats(0, 1, allow_subnormal=False), st.integers(0, 40)
        )
        for name in NAMES
    },
)


def plain(values: dict[str, Measured]) -> float | None:
    """The formula of the catalogue, word for word."""
    weights = {"ack_on_time": 20, "first_confirm": 15, "commit_reliability": 25,
               "asn_on_time": 10, "asn_valid": 10, "otif": 20}  # fmt: skip
    targets = dict.fromkeys(weights, 0.95) | {"first_confirm": 0.90, "asn_valid": 0.98}
    there = {k: m.value for k, m in values.items() if m.value is not None and m.n >= 5}
    with_data = sum(weights[k] for k in there)
    if with_data < 60:
        return None
    return 100 * sum(weights[k] * min(1, v / targets[k]) for k, v in there.items()) / with_data


@given(measured)
def test_a_score_equals_its_formula(values: dict[str, Measured]) -> None:
    found, wanted = score(SPEC, None, values), plain(values)
    assert score_value(SPEC, None, values) == found.value
    assert (found.value is None) == (wanted is None) == bool(found.reason)
    if wanted is not None and found.value is not None:
        assert found.value == pytest.approx(wanted)
        assert found.standing == standing(SPEC, found.value)
        assert sum(c.points or 0 for c in found.components) == pytest.approx(wanted)
        assert sum((c.points or 0) + (c.lost or 0) for c in found.components) == pytest.approx(100)


@given(measured, st.sampled_from(NAMES), st.floats(0, 1))
def test_a_better_figure_never_lowers_a_score(
    values: dict[str, Measured], name: str, up: float
) -> None:
    before = score(SPEC, None, values).value
    old = values.get(name)
    if before is None or old is None or old.value is None:
        return
    better = {**values, name: replace(old, value=old.value + up * (1 - old.value))}
    after = score(SPEC, None, better).value
    assert after is not None
    assert after >= before - 1e-9


def test_perfect_figures_score_100_and_are_strong() -> None:
    found = score(SPEC, None, {name: Measured(1.0, 5) for name in NAMES})
    assert found.value == pytest.approx(100)
    assert found.standing == "strong"


def test_an_idle_month_has_no_score() -> None:
    found = score(SPEC, None, {name: Measured(None, 0) for name in NAMES}, before={})
    assert (found.value, found.standing, found.previous) == (None, None, None)
    assert found.reason.startswith("no data: figures with 0 % of the weight")


def test_a_figure_below_its_sample_drops_out_and_says_so() -> None:
    values = {name: Measured(0.95, 9) for name in NAMES} | {"asn_valid": Measured(0.0, 4)}
    found = score(SPEC, None, values)
    dropped = next(c for c in found.components if c.id == "asn_valid")
    assert (dropped.value, dropped.points, dropped.reason) == (None, None, "no data (4 of 5)")
    assert found.weight == pytest.approx(90)
    assert found.value == pytest.approx(100)


@pytest.mark.parametrize(
    ("value", "word"),
    [(0, "critical"), (49.99, "critical"), (50, "weak"), (69.999, "weak"), (70, "steady"),
     (69.9999999999999, "steady"), (89.9, "steady"), (90, "strong"), (100, "strong")],
)  # fmt: skip
def test_standings_have_no_gap_and_the_edge_is_the_better_one(value: float, word: str) -> None:
    assert standing(SPEC, value) == word


def test_a_tier_may_have_targets_of_its_own() -> None:
    spec = ScorecardSpec.model_validate(
        {"figures": {"otif": {"weight": 1, "target": "90%"}}, "tiers": {"C": {"otif": "45%"}}}
    )
    values = {"otif": Measured(0.45, 20)}
    assert score(spec, "A", values).value == pytest.approx(50)
    assert score(spec, "C", values).value == pytest.approx(100)


def test_two_cards_are_compared_figure_by_figure() -> None:
    one = score(SPEC, None, {name: Measured(0.9, 9) for name in NAMES})
    other = score(SPEC, None, {name: Measured(0.8, 9) for name in NAMES if name != "otif"})
    lines = {d.id: d for d in compare(one, other)}
    assert list(lines) == ["score", *NAMES]
    assert lines["ack_on_time"].by == pytest.approx(0.1)
    assert (lines["otif"].other, lines["otif"].by) == (None, None)


def test_lead_times_drift_from_what_was_agreed_else_asked() -> None:
    limits = SPEC.lead_time
    asked = drift(limits, [12.0] * 6 + [13.0] * 5, [10.0] * 11)
    assert (asked.actual, asked.plan, asked.basis, asked.drifted) == (12.0, 10.0, "asked", False)
    agreed = drift(limits, [12.0] * 11, [10.0] * 11, agreed=9.0)
    assert (agreed.plan, agreed.basis, agreed.days, agreed.drifted) == (9.0, "agreed", 3.0, True)
    few = drift(limits, [30.0] * 9, [10.0] * 9)
    assert (few.drifted, few.reason) == (None, "no data (9 of 10)")


MISTAKES = [
    ("scorecard: {figures: {ack_on_tim: {weight: 20, target: 95%}}}", 22, "write ack_on_time"),
    ("scorecard: {figures: {otif: {weight: 0, target: 95%}}}", 38, ""),
    ("scorecard: {figures: {otif: {weight: 1, target: 0.9}}}", 49, "is not a share"),
    ("scorecard: {standings: {weak: 80}}", 24, "do not rise"),
    ("scorecard: {figures: {otif: {weight: 1, target: 9%}}, tiers: {A: {asn_valid: 1%}}}", 12,
     "which is not scored"),
    ("digests: {a: {to: kim, every: month}}", 31, "'day' or 'week'"),
    ("digests: {a: {to: kim, at: 7}}", 28, "is not a time of day"),
    ("digests: {a: {to: kimm}}", 19, "write kim"),
    ("digests: {a: {to: kim, hours: hqq}}", 31, "write hq"),
    ("scorecard: {mail: {to: partner.contact, suppliers: [ACM]}}", 53, "write ACME"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "column", "said"), MISTAKES)
def test_a_mistake_is_told_with_its_place(text: str, column: int, said: str) -> None:
    network = load_network((ROOT / "network.yaml").read_text(encoding="utf-8"), "network.yaml")
    try:
        book = load_rulebook(f"version: 1\nrules: []\n{text}\n")
        problems = [finding.problem for finding in lint(book, network)]
    except ConfigError as error:
        problems = list(error.problems)
    assert [(p.line, p.col) for p in problems] == [(3, column)]
    assert said in str(problems[0])
