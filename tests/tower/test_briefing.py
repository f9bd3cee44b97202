"""What changed since yesterday, in sentences."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tower.briefing import CategoryCount, Changes, category_words, sentences

QUIET = Changes(
    hours=24,
    opened=(),
    closed={},
    worst_supplier=None,
    worst_opened=0,
    orders_hit=0,
    value_hit=None,
    currency=None,
    released=0,
    answered=0,
    feeds_silent=(),
    feeds_back=(),
)


def test_a_quiet_day_is_said_in_one_sentence() -> None:
    assert sentences(QUIET) == ("Nothing moved in the last 24 hours.",)


def test_customers_come_first_and_words_fit_their_numbers() -> None:
    said = sentences(
        replace(
            QUIET,
            opened=(CategoryCount("ACK_OVERDUE", 1, 1),),
            closed={"healed": 2},
            orders_hit=1,
            value_hit=Decimal("12500"),
            currency="EUR",
            released=3,
            answered=2,
        )
    )
    assert said == (
        "1 more customer order came to be at risk, worth EUR 12,500.",
        "1 exception opened: 1 unanswered purchase order.",
        "2 exceptions closed: 2 healed without a hand.",
        "3 purchase orders released, 2 answered by suppliers.",
    )


def test_many_categories_are_named_up_to_three() -> None:
    opened = tuple(
        CategoryCount(name, 5 - n, 1)
        for n, name in enumerate(("ASN_INVALID", "ACK_OVERDUE", "FA_OVERDUE", "QUEUE_BACKLOG"))
    )
    said = sentences(replace(QUIET, opened=opened, worst_supplier="Acme", worst_opened=9))
    assert said[0] == (
        "14 exceptions opened: 5 failed shipment notices, 4 unanswered purchase orders, "
        "3 missing functional acknowledgements and 2 others."
    )
    assert said[1] == "Acme caused most of them (9)."


def test_feeds_that_fell_silent_warn_about_what_rests_on_them() -> None:
    said = sentences(replace(QUIET, feeds_silent=("portal",), feeds_back=("edi", "wms")))
    assert said == (
        "1 feed went silent: portal. What rests on it is not judged until it is back.",
        "2 feeds are back: edi and wms.",
    )


def test_a_category_without_words_of_its_own_is_spelled_out() -> None:
    assert category_words("ASN_CHANGED_AFTER_PUBLISH", 1) == "1 of ASN changed after publish"
    assert category_words("QUEUE_BACKLOG", 2) == "2 of queue backlog"
