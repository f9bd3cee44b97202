"""The Rules page and the case page: what they say, and what a click writes."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, select, update

from db.tables import exception_case, rule_trial, silence
from tests.app.conftest import Open
from tests.desk import RULES, Desk


def words(at: object) -> str:
    """All text of a page, as a person would read it."""
    kinds = ("markdown", "caption", "subheader", "info", "error", "success", "warning")
    return "\n".join(str(e.value) for kind in kinds for e in getattr(at, kind))


def test_a_rule_is_told_in_sentences_with_its_times_and_levels(screens: Open, shop: Desk) -> None:
    at = screens("rules", rule="po.unacknowledged")
    assert not at.exception
    said = words(at)
    assert "After PO released, there must be PO acknowledged or PO rejected in time" in said
    tables = [frame.value.to_dict("list") for frame in at.dataframe]
    assert {"Line": [1], "For whom": ["everybody"], "Within": ["2 business days"]} in tables
    assert "**breach**, ● medium, at due: the owner" in said
    assert any(t.get("Title") == ["ACK_OVERDUE of 4500000007"] for t in tables)


def test_the_list_counts_cases_and_what_people_think(
    screens: Open, shop: Desk, database: Engine
) -> None:
    with database.begin() as conn:
        conn.execute(update(exception_case).values(verdict="useful", judged_at=shop.now))
    at = screens("rules")
    [rules, policies] = [frame.value.to_dict("list") for frame in at.dataframe]
    place = rules["Rule"].index("po.unacknowledged")
    assert rules["Cases in 30 days"][place] == 1
    assert rules["Open"][place] == 1
    assert rules["Useful"][place] == "100 % of 1"
    assert policies["Policy"] == ["business"]


def test_any_reference_is_explained(screens: Open, shop: Desk) -> None:
    at = screens("rules", view="explain", ref="nothing-of-that-name")
    assert 'No document is called "nothing-of-that-name"' in words(at)


def test_a_mistake_in_an_edited_book_is_shown_at_its_line(
    screens: Open, shop: Desk, database: Engine
) -> None:
    at = screens("rules", view="try")
    broken = RULES.replace("due: {otherwise: 2bd}", "due: {otherwise: 2 days}")
    line = broken.splitlines().index("  due: {otherwise: 2 days}") + 1
    at.text_area[0].set_value(broken)
    at.button(key="trial ask").click().run()
    assert f"**line {line}, column" in words(at)
    assert any("2 days" in code.value for code in at.code)
    with database.connect() as conn:
        assert conn.execute(select(rule_trial.c.id)).all() == []


def test_trying_a_change_writes_a_wish_that_a_worker_fulfils(
    screens: Open, shop: Desk, database: Engine
) -> None:
    at = screens("rules", view="try")
    at.text_area[0].set_value(RULES.replace("2bd", "1bd"))
    at.button(key="trial ask").click().run()
    assert not at.exception
    with database.connect() as conn:
        [row] = conn.execute(select(rule_trial)).all()
    assert (row.state, "1bd" in row.body) == ("waiting", True)
    assert row.end_at - row.begin_at == timedelta(days=30)
    assert at.query_params["trial"] == str(row.id)


def test_a_silence_is_put_down_and_ended(screens: Open, shop: Desk, database: Engine) -> None:
    at = screens("rules", view="silences")
    at.selectbox[0].set_value("po.unacknowledged")
    at.text_input[-1].set_value("stock-taking at the supplier")
    next(b for b in at.button if b.label == "Put down").click().run()
    assert not at.error
    with database.connect() as conn:
        [row] = conn.execute(select(silence)).all()
    assert (row.rule, row.reason, row.author) == (
        "po.unacknowledged", "stock-taking at the supplier", "local",
    )  # fmt: skip
    assert any("● in force" in str(frame.value.to_dict("list")) for frame in at.dataframe)
    next(b for b in at.button if b.label == "End it").click().run()
    with database.connect() as conn:
        assert conn.execute(select(silence.c.ended_by)).scalar_one() == "local"


def test_one_click_and_a_reason_judge_an_alert(screens: Open, shop: Desk, database: Engine) -> None:
    at = screens("case", id="1")
    at.selectbox(key="reason useful").set_value("we acted on it")
    at.button(key="say useful").click().run()
    assert not at.exception
    assert not at.error
    with database.connect() as conn:
        [row] = conn.execute(select(exception_case)).all()
    assert (row.verdict, row.state) == ("useful", "new")
    assert "useful: we acted on it" in words(at)
    at.button(key="say false_alarm").click().run()
    with database.connect() as conn:
        [row] = conn.execute(select(exception_case)).all()
    assert (row.verdict, row.state, row.resolution) == ("false_alarm", "resolved", "false_alarm")


def test_a_cause_shows_its_cases_and_they_show_it(
    screens: Open, shop: Desk, database: Engine
) -> None:
    cause = shop.case(
        "ACME|ACK_OVERDUE", kind="cause", title="2 × PO not answered: Acme Ltd", home_key=None
    )
    shop.case("4500000005", parent_id=cause)
    shop.case("4500000003", parent_id=cause)
    with database.begin() as conn:
        shop.write(conn)
    at = screens("exceptions")
    [table] = [frame.value.to_dict("list") for frame in at.dataframe]
    assert table["Title"] == ["ACK_OVERDUE of 4500000007", "▸ 2 × PO not answered: Acme Ltd"]
    at = screens("case", id=str(cause))
    titles = [frame.value.to_dict("list").get("Title") for frame in at.dataframe]
    assert ["ACK_OVERDUE of 4500000005", "ACK_OVERDUE of 4500000003"] in titles
    at = screens("exceptions", view="all")
    assert "▸" not in str([frame.value.to_dict("list") for frame in at.dataframe])
