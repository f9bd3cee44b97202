"""Figures of supply: answers, shipments, goods, invoices, promises."""

from __future__ import annotations

from types import MappingProxyType

from tower.kpi_definition import OF_CUSTOMERS, SUPPLY_DATES, Definition

_CLOCK_OUTSIDE = "not due yet, not measured, unknown because a feed was silent"
_LINE_OUTSIDE = (
    "lines not due yet; lines that we cancelled before they were due; lines received in a unit "
    "that does not compare; unknown because the feed of receipts is silent; suppliers on trial"
)
_ANSWER_OUTSIDE = "orders whose answer is not due, not measured, or unknown"
_LINES = "purchase order lines"
_SUPPLY = MappingProxyType({"date": SUPPLY_DATES})

ANSWERS = (
    Definition(
        "ack_on_time",
        "On-time acknowledgement",
        "Ack on time",
        "%",
        "purchase orders answered by their due instant / those answered, late or overdue. "
        "The first answer counts, a refusal too",
        _CLOCK_OUTSIDE,
        "up",
        target=0.95,
        audience="LO",
    ),
    Definition(
        "ack_cycle_clock",
        "Time to acknowledge",
        "Ack time",
        "h",
        "median of first answer - transmitted over the orders of on-time acknowledgement, p90 "
        "beside; unanswered orders rank longest and are told as over so many hours",
        f"{_ANSWER_OUTSIDE}; orders of which no transmission was told",
        "down",
        target=24,
        statistic="median",
    ),
    Definition(
        "ack_cycle_business",
        "Time to acknowledge in business hours",
        "Ack open hours",
        "h",
        "as the time to acknowledge, in open hours of the supplier's calendar, else of ours",
        f"{_ANSWER_OUTSIDE}; orders of which no transmission was told",
        "down",
        target=8,
        statistic="median",
    ),
    Definition(
        "first_confirm",
        "First confirmation",
        "First confirms",
        "%",
        "lines whose first answer keeps quantity, price and date / lines first answered in the "
        "period. Earlier than asked for is kept",
        "answers that tell neither yes nor no (on hold, pending)",
        "up",
        target=0.90,
        counts=_LINES,
        switches=MappingProxyType({"about": ("all", "date")}),
    ),
    Definition(
        "commit_reliability",
        "Commitments kept",
        "Commitments kept",
        "%",
        "lines of which the full confirmed quantity was received by the confirmed date / lines "
        "with that date in the period. Parts add up; what the supplier took back is missed",
        _LINE_OUTSIDE,
        "up",
        target=0.95,
        counts=_LINES,
        audience="LO",
        dated=True,
        switches=MappingProxyType({"date": ("first_confirmed", "last_confirmed")}),
    ),
    Definition(
        "fa_rate",
        "Functional acknowledgements in time",
        "FA in time",
        "%",
        "orders sent whose functional acknowledgement, whatever it says, came in time / orders "
        "whose acknowledgement was due",
        f"partners with whom none was agreed; {_CLOCK_OUTSIDE}",
        "up",
        target=0.99,
        audience="S",
    ),
    Definition(
        "coverage",
        "Coverage",
        "Coverage",
        "%",
        "purchase orders of which every clock due could be judged / purchase orders with a "
        "clock due. A clock is unknown while a feed that could stop it is silent",
        "purchase orders without a clock due in the period",
        "up",
        target=0.98,
        least=1,
        audience="LS",
        opens="/health",
    ),
)

SHIPMENTS = (
    Definition(
        "asn_on_time",
        "ASN on time",
        "ASN on time",
        "%",
        "shipments whose notice came by ship time + 1 h (or on the ship day) and before the "
        "goods / shipments. An order received without any notice is one missed",
        "suppliers that send no notices",
        "up",
        target=0.95,
        counts="shipments",
        audience="LO",
    ),
    Definition(
        "asn_valid",
        "ASN valid",
        "ASN valid",
        "%",
        "shipment notices that passed all checks when they first arrived / notices arrived",
        "notices that we could not read ourselves (dead letters)",
        "up",
        target=0.98,
        counts="shipment notices",
        audience="LS",
    ),
    Definition(
        "asn_accurate",
        "ASN accurate",
        "ASN accurate",
        "%",
        "announced lines received exactly as announced, in unit and quantity / announced lines "
        "whose goods came in the period. Parts of one order line add up",
        "lines that differ and were first received in the last three days: more may be posted",
        "up",
        target=0.97,
        counts=_LINES,
    ),
    Definition(
        "shipped_on_time",
        "Shipped on time",
        "Shipped on time",
        "%",
        "lines whose last shipment left by the ship-by day of the order / lines whose ship-by day "
        "fell in the period, shipped or still open",
        "orders without a ship-by day; lines cancelled before it",
        "up",
        target=0.95,
        counts=_LINES,
        dated=True,
    ),
)

_PER = ("line", "order", "value")
FULFILMENT = (
    Definition(
        "otif",
        "OTIF",
        "OTIF",
        "%",
        "purchase order lines received in full by their due day / lines due. Due is the first "
        "confirmed date, else the requested one; parts received in time add up. On the customers' "
        "side: customer order lines delivered in full by the day promised",
        _LINE_OUTSIDE,
        "up",
        target=0.95,
        counts="lines",
        opens="/fulfilment",
        dated=True,
        switches=MappingProxyType(
            {
                "side": ("supply", "customer"),
                "date": (*SUPPLY_DATES, "first_promised", "last_promised"),
                "per": _PER,
            }
        ),
    ),
    Definition(
        "fill_line",
        "Lines filled",
        "Lines filled",
        "%",
        "lines received in full by their due day / lines due",
        _LINE_OUTSIDE,
        "up",
        target=0.98,
        counts=_LINES,
        opens="/fulfilment",
        dated=True,
        switches=MappingProxyType({**_SUPPLY, "until": ("due", "now")}),
    ),
    Definition(
        "fill_unit",
        "Units filled",
        "Units filled",
        "%",
        "sum of min(received by the due day, ordered) / sum ordered, lines due in the period. "
        "Units of measure are never added up: where several occur there is no figure",
        _LINE_OUTSIDE,
        "up",
        target=0.98,
        statistic="weighted",
        counts=_LINES,
        opens="/fulfilment",
        dated=True,
        switches=MappingProxyType({**_SUPPLY, "until": ("due", "now")}),
    ),
    Definition(
        "fill_value",
        "Value filled",
        "Value filled",
        "%",
        "sum of min(received by the due day, ordered) x order price / sum of ordered x order "
        "price, lines due in the period in the company's currency",
        f"{_LINE_OUTSIDE}; lines without a price or in another currency",
        "up",
        target=0.98,
        statistic="weighted",
        counts=_LINES,
        opens="/fulfilment",
        dated=True,
        switches=MappingProxyType({**_SUPPLY, "until": ("due", "now")}),
    ),
    Definition(
        "fill_first",
        "Filled by the first shipment",
        "First fill",
        "%",
        "units on the first shipment / units ordered, lines first shipped in the period; one unit "
        "of measure",
        "lines whose notice tells no quantity or another unit; cancelled lines",
        "up",
        target=0.95,
        statistic="weighted",
        counts=_LINES,
        opens="/fulfilment",
    ),
    Definition(
        "perfect_order",
        "Perfect orders",
        "Perfect orders",
        "%",
        "orders whose lines all pass four parts (in full; by the confirmed date and at the site "
        "ordered for; valid answer, valid notice and matched invoice; undamaged) / orders due in "
        "the period",
        "orders of which a part is not known: no invoice checked yet, a feed silent",
        "up",
        target=0.90,
        opens="/fulfilment",
        dated=True,
    ),
    Definition(
        "lead_time",
        "Lead time",
        "Lead time",
        "days",
        "median of days from transmission to the receipt that completes the order, p90 beside, "
        "orders completed in the period",
        "orders not complete; orders of which no transmission was told",
        "down",
        least=10,
        statistic="median",
        opens="/fulfilment",
        dated=True,
    ),
    Definition(
        "lead_time_var",
        "Lead time spread",
        "Lead time spread",
        "days",
        "p90 - p50 of the lead time; coefficient of variation beside",
        "as the lead time",
        "down",
        least=10,
        statistic="median",
        opens="/fulfilment",
        dated=True,
    ),
    Definition(
        "unit_days_late",
        "Unit-days late",
        "Unit-days late",
        "unit-days",
        "sum over lines due in the period of late units x days late; what is still open counts up "
        "to the end of the period. Units of measure are told apart",
        _LINE_OUTSIDE,
        "down",
        target=0,
        least=1,
        statistic="sum",
        counts=_LINES,
        opens="/fulfilment",
        dated=True,
    ),
    Definition(
        "invoice_match",
        "Invoices matched first time",
        "Invoice match",
        "%",
        "invoices that the ERP matched to price and received quantity without ever blocking them / "
        "invoices it tried",
        "invoices nobody checked yet; credit notes",
        "up",
        target=0.95,
        counts="invoices",
        opens="/fulfilment",
        audience="LO",
        by=("supplier",),
    ),
    Definition(
        "promise_reliability",
        "Promises kept",
        "Promises kept",
        "%",
        "customer order lines delivered complete by the first promised date / lines with that date "
        "in the period",
        "lines not due yet; lines cancelled before they were due",
        "up",
        target=0.96,
        counts="customer order lines",
        opens="/orders-at-risk",
        dated=True,
        switches=MappingProxyType({"date": ("first_promised", "last_promised")}),
        by=OF_CUSTOMERS,
    ),
)
