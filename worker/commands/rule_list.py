"""``tower rules list``: the rule book in words, with what each rule found lately."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from db.reads import rule_figures, rules
from tower.access import EVERYTHING
from tower.rule_words import RuleWords, words
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, shown, table
from worker.commands.ask import asking


def register(group: typer.Typer) -> None:
    """Add the command to ``tower rules``."""
    group.command("list")(rule_list)


def rule_list(
    rule: Annotated[str | None, typer.Argument(help="Only this rule.")] = None,
    as_json: AsJson = False,
) -> int:
    """The rule book as people read it, and how it does. Example: tower rules list

    Figures are those of the last thirty days. Exit code 3 if there is no such rule.
    """
    with asking() as (conn, now):
        book = rules.rulebook(conn)
        found = rule_figures.figures(conn, EVERYTHING, now)
    said = [] if book is None else [words(one, book) for one in book.rules]
    if rule is not None:
        said = [one for one in said if one.id == rule]
        if not said:
            typer.echo(f'There is no rule "{rule}". tower rules list names them.', err=True)
            return EXIT_NOT_FOUND
    answer: dict[str, Any] = {
        "as_of": now,
        "days": rule_figures.DAYS,
        "rules": [_told(one, found.get(one.id) or rule_figures.nothing(one.id)) for one in said],
    }

    def say(console: Console) -> None:
        console.print(
            table(
                f"Rules, {rule_figures.DAYS} days",
                ("rule", "finds", "cases #", "before #", "open #", "useful", "judged #", "mails #"),
                [
                    (
                        r["id"],
                        r["meaning"],
                        r["fires"],
                        r["before"],
                        r["open_cases"],
                        None if r["precision"] is None else f"{100 * r['precision']:.0f} %",
                        r["judged"],
                        r["mails"],
                    )
                    for r in answer["rules"]
                ],
            )
        )
        if rule is not None:
            for sentence in said[0].sentences:
                console.print(shown(f"- {sentence}"), soft_wrap=True)
            for target in said[0].targets:
                console.print(shown(f"  {target.whom}: {target.within}"), soft_wrap=True)

    emit(answer, as_json, say)
    return 0


def _told(said: RuleWords, figures: rule_figures.RuleFigures) -> dict[str, Any]:
    judged = figures.precision
    return {
        **{name: getattr(said, name) for name in said.__dataclass_fields__},
        "fires": figures.fires,
        "before": figures.before,
        "by_day": figures.by_day,
        "open_cases": figures.open_cases,
        "causes": figures.causes,
        "precision": judged.share,
        "useful": judged.useful,
        "false_alarms": judged.false_alarms,
        "judged": judged.judged,
        "doubtful": judged.doubtful,
        "verdicts": figures.verdicts,
        "mails": figures.mails,
        "noisiest": [{"who": who, "cases": n} for who, n in figures.noisiest],
    }
