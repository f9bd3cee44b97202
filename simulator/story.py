"""Tells a plot: which system says what, when, over which door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Any

from simulator.business import (
    Answer,
    AnswerLine,
    Po,
    PoLine,
    Sent,
)
from simulator.cast import HQ
from simulator.goods import GoodsTeller
from simulator.house import Journey
from simulator.partners import Arrival
from simulator.plots import Plot
from simulator.queues import Stay

_RECEIPT_WORD = {"edi": "mdn", "api": "http", "file": "sftp", "portal": "http"}


@dataclass(slots=True)
class Storyteller(GoodsTeller):
    """Plans all emissions of a bunch of orders: one supplier, released together."""

    def tell(self, rng: Random, pos: Sequence[Po]) -> None:
        """Decide and tell."""
        sent_at = pos[0].released + self._after(rng, 2, 12)
        self.play(rng, pos, self.plotter.plot(rng, pos, sent_at), sent_at)

    def play(self, rng: Random, pos: Sequence[Po], plot: Plot, sent_at: datetime) -> None:
        """Tell a plot that is decided; our translator sends the orders at ``sent_at``."""
        self._release(rng, pos, plot, sent_at)
        if plot.changed_at is not None:
            self._change(rng, pos[0], plot)
        if plot.answer_at is not None:
            self._answer(rng, pos, plot, plot.answer_at, plot.code)
        if plot.again_at is not None:
            again = replace(
                plot,
                fault="",
                delayed=False,
                rows={po.number: tuple(_as_ordered(line) for line in po.lines) for po in pos},
            )
            self._answer(rng, pos, again, plot.again_at, "AD")
        if plot.cancel_at is not None:
            for po in pos:
                self._cancel(rng, po, plot.cancel_at)
        if plot.proposal_at is not None:
            self._propose(rng, pos[0], plot)
        if plot.ship_at is not None:
            self.deliver(rng, pos, plot)

    # --- out --------------------------------------------------------------------------------------

    def _release(self, rng: Random, pos: Sequence[Po], plot: Plot, sent_at: datetime) -> None:
        supplier = pos[0].supplier
        for po in pos:
            journey = Journey(po.flow, po.message, supplier)
            at = po.released
            self.house.erp_released(po, at + self._moments(rng, 0, 3))
            at += self._moments(rng, 5, 25)
            self.house.log(
                at, "order.received", journey, po=po.number, hop="erp>middleware",
                text=f"Order {po.number} taken from the ERP",
            )  # fmt: skip
            at += self._moments(rng, 4, 30)
            self.house.log(at, "order.mapped", journey, hop="middleware", ms=rng.randint(18, 140))
            at = sent_at + self._moments(rng, 3, 30)
            self.house.log(
                at,
                "order.transmitted",
                journey,
                repeated=rng.random() < 0.008,
                po=po.number,
                hop=f"middleware>{supplier.channel}",
                channel=supplier.channel,
                control=lambda po=po: _control(po.sent),
            )
            self.house.log(
                at + self._moments(rng, 15, 140), "transport.receipt", journey,
                hop=f"{supplier.channel}>partner", receipt=_RECEIPT_WORD[supplier.channel],
            )  # fmt: skip
        if supplier.channel != "edi":
            return
        self.gateway.send_orders(pos, sent_at)
        if supplier.expects_fa and plot.fa:
            arrives = sent_at + self._after(rng, 5, 50)
            verdict = "E" if rng.random() < 0.02 else "A"
            stated = self._stated(supplier, arrives - self._after(rng, 0.5, 3))
            self.partners.functional_ack(pos, stated, arrives, verdict)

    def _change(self, rng: Random, po: Po, plot: Plot) -> None:
        """Our change of one quantity, which the answer already takes up."""
        if plot.changed_at is None or plot.answer_at is None:
            raise AssertionError("a change without its time")
        line = po.lines[0]
        line.quantity += max(1, line.quantity * rng.randint(10, 25) // 100)
        self.house.erp_changed(po, 1, plot.changed_at, [(line, line.quantity)])
        self._send_change(
            rng, po, 1, plot.changed_at + self._after(rng, 1, 6), [(line, "QI")], "04"
        )
        rows = tuple(_as_ordered(line) if row.line is line else row for row in plot.rows[po.number])
        plot.rows[po.number] = rows
        arrives = plot.answer_at + self._after(rng, 1, 4)
        answer = Answer(
            po,
            "",
            plot.answer_at,
            self._stated(po.supplier, plot.answer_at),
            "AD",
            tuple(row for row in rows if row.line is line),
        )
        self.partners.answer_change(answer, 1, Arrival(arrives))

    def _send_change(
        self,
        rng: Random,
        po: Po,
        sequence: int,
        at: datetime,
        lines: Sequence[tuple[PoLine, str]],
        purpose: str,
    ) -> None:
        sent = self.gateway.send_change(po, sequence, at, lines, purpose)
        if po.supplier.expects_fa:
            arrives = at + self._after(rng, 5, 50)
            stated = self._stated(po.supplier, arrives - self._after(rng, 0.5, 3))
            self.gateway.functional_ack(po.supplier, lambda: [("860", sent)], stated, arrives)

    def _cancel(self, rng: Random, po: Po, at: datetime) -> None:
        self.house.erp_ended(po, at, "cancelled", "No usable answer from the supplier")
        if po.supplier.channel == "edi":
            lines = [(line, "DI") for line in po.lines]
            self._send_change(rng, po, 9, at + self._after(rng, 2, 10), lines, "01")

    # --- answers ----------------------------------------------------------------------------------

    def _answer(self, rng: Random, pos: Sequence[Po], plot: Plot, at: datetime, code: str) -> None:
        supplier = pos[0].supplier
        stated = self._stated(supplier, at)
        answers = [
            Answer(
                po,
                f"OC{100_000 + self.stage.number('confirmation', supplier.key)}",
                at,
                stated,
                code,
                plot.rows[po.number],
                "Item discontinued" if code in ("RD", "RJ") else "",
            )
            for po in pos
        ]
        arrives = at + (
            self._after(rng, 0.1, 0.8) if supplier.channel == "api" else self._after(rng, 1, 7)
        )
        if plot.delayed:
            arrives += self._after(rng, 60, 95)
        repeated = self._after(rng, 20, 200) if rng.random() < 0.015 else None
        self.partners.answer(answers, Arrival(arrives, self._after(rng, 3, 25), repeated))
        for answer in answers:
            applied = max(arrives + self._after(rng, 3, 17), stated + self._after(rng, 8, 16))
            self._take_in(rng, answer, plot, arrives, applied)

    def _take_in(
        self, rng: Random, answer: Answer, plot: Plot, arrives: datetime, applied: datetime
    ) -> None:
        """The middleware maps an answer and posts it to the ERP, or fails to."""
        po = answer.po
        journey = self._inbound(rng, po.supplier)
        hop = "middleware>erp"
        at = arrives + self._moments(rng, 4, 40)
        self.house.log(
            at, "inbound.received", journey, hop=f"{po.supplier.channel}>middleware",
            text="Order answer taken in",
        )  # fmt: skip
        at += self._moments(rng, 3, 30)
        self.house.log(
            at, "inbound.mapped", journey, po=po.number, hop="middleware", ms=rng.randint(15, 160)
        )
        if answer.rejected:
            return
        failed: dict[str, Any] = {
            "error": "PostingError",
            "code": "51",
            "text": f"Vendor {po.supplier.vendor} is locked by user BATCH7",
        }
        if plot.fault == "ACK_NOT_IN_ERP":
            for attempt in (1, 2):
                at += self._after(rng, 1, 3)
                self.house.log(
                    at, "delivery.failed", journey, po=po.number, hop=hop, attempt=attempt,
                    queue="erp.posting", **failed,
                )  # fmt: skip
            at += self._moments(rng, 1, 5)
            self.house.log(
                at, "message.dead", journey, po=po.number, hop=hop, attempt=2,
                queue="erp.posting.dlq", **failed,
            )  # fmt: skip
            if plot.variant == 1:
                self.stays.append(Stay("erp.posting.dlq", at, None))
                return
            applied = HQ.next_open(at + self._after(rng, 720, 3000))
            self.stays.append(Stay("erp.posting.dlq", at, applied))
            tried = applied - self._moments(rng, 20, 25)
            self.house.log(tried, "delivery.retried", journey, po=po.number, hop=hop, attempt=3)
        elif rng.random() < 0.02:
            tried = at + self._moments(rng, 12, 18)
            self.house.log(
                tried, "delivery.failed", journey, po=po.number, hop=hop, attempt=1,
                queue="erp.posting", **failed,
            )  # fmt: skip
            tried += self._moments(rng, 45, 70)
            self.house.log(tried, "delivery.retried", journey, po=po.number, hop=hop, attempt=2)
        self.house.log(
            applied - self._moments(rng, 3, 8), "erp.posted", journey, po=po.number, hop=hop,
            ms=rng.randint(90, 900),
        )  # fmt: skip
        self.house.erp_applied(answer, applied)

    def _propose(self, rng: Random, po: Po, plot: Plot) -> None:
        if plot.proposal_at is None:
            raise AssertionError("a proposal without its time")
        rows = tuple(
            replace(
                row,
                word="accepted_with_changes",
                code="DR",
                delivery=plot.proposed,
                parts=(("DR", row.quantity, plot.proposed),),
            )
            for row in plot.rows[po.number]
        )
        stated = self._stated(po.supplier, plot.proposal_at)
        answer = Answer(po, "", plot.proposal_at, stated, "AC", rows)
        arrives = plot.proposal_at + self._after(rng, 1, 6)
        self.partners.propose_dates(answer, Arrival(arrives))
        self.house.erp_applied(answer, arrives + self._after(rng, 20, 90))


def _as_ordered(line: PoLine) -> AnswerLine:
    return AnswerLine(
        line,
        "accepted",
        "IA",
        line.quantity,
        line.price_cents,
        line.wanted,
        (("IA", line.quantity, line.wanted),),
    )


def _control(sent: Sent | None) -> str | None:
    return None if sent is None else f"{sent.interchange}/{sent.group}/{sent.set}"
