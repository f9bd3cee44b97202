"""What the command says of supply and the customers behind it, on a simulated history."""

from __future__ import annotations

from tests.acceptance import shapes
from tests.acceptance.installation import Installation

PROMISED = shapes.promised()


def test_whom_a_purchase_order_hurts_and_what_hurts_a_customer_order(filled: Installation) -> None:
    risk = filled.tower("risk", "--by", "cause", "--json").json
    assert shapes.faults(risk, PROMISED["risk"]) == []
    assert sum(group["lines"] for group in risk["groups"]) >= len(
        {(one["order"], one["order_line"]) for one in risk["lines"]}
    )
    worst = risk["lines"][0]
    assert filled.tower("risk", "--told", "yes", "--json").json["lines"] == []

    po = filled.tower("impact", worst["po"], "--json")
    assert (po.code, shapes.faults(po.json, PROMISED["impact"])) == (0, [])
    assert worst["order"] in {row["order"] for row in po.json["at_risk"]}
    assert po.json["supply"]
    assert po.json["lines"] == []

    order = filled.tower("impact", worst["order"], "--json").json
    [line] = [one for one in order["lines"] if one["line"] == worst["order_line"]]
    assert (line["state"], order["supply"]) == ("at_risk", [])
    assert filled.tower("impact", worst["order"]).code == 0

    words = (line["item"], "--warehouse", worst["warehouse"])
    curve = filled.tower("curve", *words, "--json").json
    assert shapes.faults(curve, PROMISED["curve"]) == []
    assert (curve["on_hand"], curve["problem"]) == (None, "no stock report")
    assert curve["wanted"] == []  # the customer order names no warehouse
    assert worst["po"] in {one["po"] for one in curve["incoming"]}
    assert filled.tower("curve", *words).code == 0


def test_what_is_not_there_is_said_with_the_next_step(filled: Installation) -> None:
    answer = filled.tower("impact", "nothing-4711")
    assert (answer.code, "tower find nothing-4711" in answer.err) == (3, True)
    answer = filled.tower("curve", "nothing", "--warehouse", "east")
    assert (answer.code, "Nothing is known of item" in answer.err) == (3, True)
    assert filled.tower("risk", "--told", "no").code == 2
