"""``tower rules backtest`` and ``plan``: what a rule book would have said, and would change."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Connection

from db import clocks, configuration, silences
from db import engine as db_engine
from tower import settings as settings_module
from tower.court import Code, Profile, new_profiles
from tower.errors import ConfigError
from tower.zones import zone
from worker import configuration as files
from worker import rule_plan
from worker.answers import AsJson, emit, one_of, progress, shown, table
from worker.backtest import judge_in_parts
from worker.commands.ask import asking
from worker.configuration import Configuration
from worker.hindsight import (
    Alert,
    By,
    Differences,
    Hindsight,
    differences,
    judge_past,
    uncovered,
)
from worker.judging import Judging
from worker.rehearsal import Posting

MOST_SHOWN = 20  # examples for people
MOST_LISTED = 1000  # of each list, in JSON
WORDS: tuple[By, ...] = ("arrival", "occurred")


def register(rules: typer.Typer) -> None:
    """Add the commands to ``tower rules``."""
    rules.command("backtest")(backtest)
    rules.command("plan")(plan)


def backtest(
    begin: Annotated[str, typer.Option("--from", help="First day or instant, like 2026-03-01.")],
    end: Annotated[str, typer.Option("--to", help="Day or instant at which it ends.")],
    by: Annotated[
        str, typer.Option(help="arrival: what would have been said; occurred: what was true.")
    ] = "arrival",
    rules: Annotated[
        Path | None, typer.Option(help="Another rule book, compared with the one in force.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Judge the stored past anew; nothing is written. Example: tower rules backtest
    --from 2026-03-01 --to 2026-04-01 --rules draft.yaml

    Times are the company's where they name no zone.
    """
    one_of("--by", by, WORDS)
    how = next(word for word in WORDS if word == by)
    started = time.monotonic()
    with asking() as (conn, _):
        active = in_force(conn)
        local = active.network.company.zone
        first, last = _instant("--from", begin, local), _instant("--to", end, local)
        if last <= first:
            raise ConfigError("--to must come after --from.")
        make = partial(books_of, rules=rules, begin=first, end=last, by=how)
        address = db_engine.address(settings_module.load())
        with progress("Documents") as told:
            pairs, documents, events = judge_in_parts(conn, address, make, last, told)
    code, seen = pairs[-1]
    mails = seen.mails()
    compared = differences(pairs[0][1], seen) if rules is not None else None
    answer: dict[str, Any] = {
        "from": first,
        "to": last,
        "by": how,
        "documents": documents,
        "events": events,
        "seconds": round(time.monotonic() - started, 3),
        "rules": by_rule(seen),
        "alerts": len(seen.alerts),
        "withdrawn": sum(alert.withdrawn for alert in seen.alerts.values()),
        "mails": len(mails),
        "recipients": by_recipient(mails),
        "not_replayed": uncovered(code),
        "compared": None if compared is None else listed(compared),
    }

    def say(console: Console) -> None:
        console.print(
            f"{first:%Y-%m-%d %H:%MZ} to {last:%Y-%m-%d %H:%MZ} by {how}: {documents} documents, "
            f"{events} events, {len(seen.alerts)} alerts, {len(mails)} mails."
        )
        say_rules(console, answer["rules"])
        say_not_replayed(console, code)
        if compared is not None:
            say_differences(console, compared)

    emit(answer, as_json, say)
    return 0


def plan(
    file: Annotated[Path | None, typer.Argument(help="Default: the rule book in use.")] = None,
    network: Annotated[
        Path | None, typer.Option(help="A changed network.yaml; default: the one in force.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=400, help="Days of the past to compare.")] = 30,
    activate: Annotated[
        bool, typer.Option("--activate", help="Put the file in force after the plan is told.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """What changed files would do, before they do. Example: tower rules plan draft.yaml

    With --activate they replace those in use. What is effective before that is told in one
    summary, not in mails. Exit code 5 if a file has mistakes; nothing is changed then.
    """
    chosen = settings_module.load()
    path = file or chosen.rules
    with asking() as (conn, now):
        active, other = in_force(conn), draft(conn, path, network)
        begin = now - timedelta(days=days)
        pairs = [hindsight(conn, config, begin, now, "arrival") for config in (active, other)]
        with progress("Documents") as told:
            judge_past(conn, [p[1] for p in pairs], [p[0] for p in pairs], now, told)
        with progress("Open clocks") as told:
            at_once = rule_plan.present(conn, other, now, lambda n: told(n, n))
    before, after = pairs[0][1], pairs[1][1]
    found = differences(before, after)
    mails = rule_plan.mails_by_day(other, before, after)
    changes = rule_plan.rule_changes(active.rulebook, other.rulebook)
    if activate:
        with db_engine.connected(chosen) as engine:
            files.take_over(
                engine,
                chosen.network,
                chosen.rules,
                network or chosen.network,
                path,
                datetime.now(UTC),
            )
    answer: dict[str, Any] = {
        "as_of": now,
        "file": str(path),
        "network": None if network is None else str(network),
        "days": days,
        "rules": changes,
        "clocks": {
            "open": at_once.open,
            "started": at_once.started,
            "ended": at_once.ended,
            "moved_total": len(at_once.moved),
            "moved": at_once.moved[:MOST_LISTED],
        },
        "cases": {
            "opened_total": len(at_once.opened),
            "closed_total": len(at_once.closed),
            "opened": at_once.opened[:MOST_LISTED],
            "closed": at_once.closed[:MOST_LISTED],
        },
        "summaries": at_once.summaries,
        "alerts": listed(found),
        "mails": mails,
        "not_replayed": uncovered(pairs[1][0]),
        "activated": activate,
    }

    def say(console: Console) -> None:
        _say_plan(console, at_once, changes, mails)
        console.print(f"The last {days} days:")
        say_differences(console, found)
        say_not_replayed(console, pairs[1][0])
        if activate:
            console.print(f"{path} is in force.")

    emit(answer, as_json, say)
    return 0


def _say_plan(
    console: Console,
    at_once: rule_plan.Present,
    changes: Sequence[rule_plan.RuleChange],
    mails: Sequence[Mapping[str, Any]],
) -> None:
    told = ", ".join(f"{c.rule} ({c.change})" for c in changes) or "none"
    console.print(f"Rules that differ: {told}.")
    console.print(
        f"Of {at_once.open} open clocks {len(at_once.moved)} move, {at_once.started} start, "
        f"{at_once.ended} end; {len(at_once.opened)} cases open, {len(at_once.closed)} close."
    )
    if at_once.moved:
        console.print(
            table(
                f"Clocks (first {MOST_SHOWN})",
                ("rule", "subject", "was due", "is due", "was", "is"),
                [
                    (m.rule, m.subject, m.due_before, m.due_after, m.verdict_before,
                     m.verdict_after)
                    for m in at_once.moved[:MOST_SHOWN]
                ],
            )
        )  # fmt: skip
    for title, cases in (("Opened", at_once.opened), ("Closed", at_once.closed)):
        if cases:
            console.print(
                table(
                    f"{title} (first {MOST_SHOWN})",
                    ("severity", "what", "owner", "why"),
                    [(c.severity, c.title, c.owner, c.why) for c in cases[:MOST_SHOWN]],
                )
            )
    for one in at_once.summaries:
        console.print(
            f"{one.recipient} hears of {one.opened} opened and {one.closed} closed in one summary."
        )
    moved = [row for row in mails if row["before"] != row["after"]]
    if moved:
        console.print(
            table(
                f"Mails that differ (first {MOST_SHOWN})",
                ("recipient", "day", "in force #", "this file #"),
                [(m["recipient"], m["day"], m["before"], m["after"]) for m in moved[:MOST_SHOWN]],
            )
        )


def in_force(conn: Connection) -> Configuration:
    """What is in force; raises ConfigError before the first start."""
    found = files.in_force(conn)
    if found is None:
        raise ConfigError("No rule book is in force yet. Start the tower once: tower up.")
    return found


def draft(conn: Connection, rules: Path, network: Path | None = None) -> Configuration:
    """Another rule book, with another network or the one in force; raises ConfigError with every
    mistake."""
    if network is not None:
        return files.read(network, rules)
    active = configuration.active(conn, configuration.NETWORK)
    body = "" if active is None else active.body
    return files.parse(body, files.text_of(rules), "network.yaml", rules.name)


def books_of(
    conn: Connection, rules: Path | None, begin: datetime, end: datetime, by: By
) -> list[tuple[Code, Hindsight]]:
    """The book in force, and another one if it is given, ready to judge the past."""
    configs = [in_force(conn)]
    if rules is not None:
        configs.append(draft(conn, rules))
    return [hindsight(conn, config, begin, end, by) for config in configs]


def hindsight(
    conn: Connection, config: Configuration, begin: datetime, end: datetime, by: By
) -> tuple[Code, Hindsight]:
    """A book ready to judge the past, with the profiles that partners had at the time; partners
    whose profile this network changes are judged as if they had been so all along."""
    kept = clocks.kept_profiles(conn)
    for version, (partner, body) in new_profiles(config.network, kept).items():
        kept[partner] = [Profile(version, begin, body)]
    code = Code(config.network, config.rulebook, profiles=kept)
    hushes = silences.between(conn, clocks.BEGINNING, end)
    judging = Judging(config.network, config.rulebook)
    return code, Hindsight(judging, code, begin, end, by, hushes)


def _instant(option: str, text: str, zone_name: str) -> datetime:
    try:
        if len(text) == len("2026-03-01"):
            found = datetime.combine(date.fromisoformat(text), time_of_day(0))
        else:
            found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f'{option}: "{text}" is no day; write one like 2026-03-01.') from None
    at = found if found.tzinfo is not None else found.replace(tzinfo=zone(zone_name))
    return at.astimezone(UTC)


# --- what books say -------------------------------------------------------------------------------


def by_rule(seen: Hindsight) -> list[dict[str, Any]]:
    """Cycles by verdict and alerts of each rule, in the order of the book."""
    alerts = Counter(alert.rule for alert in seen.alerts.values())
    withdrawn = Counter(a.rule for a in seen.alerts.values() if a.withdrawn)
    return [
        {
            "rule": rule,
            "verdicts": dict(sorted(verdicts.items())),
            "alerts": alerts[rule],
            "withdrawn": withdrawn[rule],
        }
        for rule, verdicts in seen.verdicts.items()
    ]


def by_recipient(mails: Sequence[Posting]) -> list[dict[str, Any]]:
    """Mails by recipient, most first."""
    counted = Counter(mail.recipient for mail in mails)
    summaries = Counter(mail.recipient for mail in mails if mail.daily)
    return [
        {"recipient": who, "mails": n, "summaries": summaries[who]}
        for who, n in counted.most_common()
    ]


def listed(found: Differences) -> dict[str, Any]:
    """Differences for JSON: the numbers, and the first of each list."""
    return {
        "added_total": len(found.added),
        "removed_total": len(found.removed),
        "moved_total": len(found.moved),
        "added": found.added[:MOST_LISTED],
        "removed": found.removed[:MOST_LISTED],
        "moved": [{"before": a, "after": b} for a, b in found.moved[:MOST_LISTED]],
    }


def say_not_replayed(console: Console, code: Code) -> None:
    """The rules of which the past tells nothing, and why."""
    for one in uncovered(code):
        console.print(f"Not replayed: {one.rule}: {one.why}.")


def say_rules(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Each rule with its verdicts."""
    words = ("met", "met_late", "breached", "unknown", "not_measured", "pending", "at_risk")
    console.print(
        table(
            "Rules",
            ("rule", *(f"{word.replace('_', ' ')} #" for word in words), "alerts #", "withdrawn #"),
            [
                (
                    row["rule"],
                    *(row["verdicts"].get(word, 0) for word in words),
                    row["alerts"],
                    row["withdrawn"],
                )
                for row in rows
            ],
        )
    )


def say_differences(console: Console, found: Differences) -> None:
    """Alerts added, removed and moved, a few of each."""
    console.print(
        f"Against the book in force: {len(found.added)} alerts added, {len(found.removed)} "
        f"removed, {len(found.moved)} moved."
    )
    for title, alerts in (("Added", found.added), ("Removed", found.removed)):
        if alerts:
            console.print(_examples(title, alerts))
    if found.moved:
        console.print(
            table(
                f"Moved (first {MOST_SHOWN})",
                ("rule", "subject", "level", "was", "is"),
                [
                    (b.rule, b.subject, b.level, a.effective, b.effective)
                    for a, b in found.moved[:MOST_SHOWN]
                ],
            )
        )


def _examples(title: str, alerts: Sequence[Alert]) -> Any:
    return table(
        f"{title} (first {MOST_SHOWN})",
        ("rule", "subject", "level", "severity", "effective", "receipt"),
        [
            (a.rule, a.subject, a.level, a.severity, a.effective, shown(a.receipt))
            for a in alerts[:MOST_SHOWN]
        ],
    )
