"""Running files of rule tests, and running them again on books that are wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tower.calendars import CalendarSpec
from tower.errors import ConfigError, Problem
from tower.mutations import Mutant, mutants
from tower.network import load_network
from tower.rule_tests import Suite, load_suite
from tower.rulebook import RuleBook, load_rulebook
from worker.configuration import text_of
from worker.trials import World, play

FOLDER = Path("tests/rules")  # beside the rule book
SUFFIX = ".tests.yaml"


@dataclass(frozen=True)
class Run:
    """One case of one file, with the book and the calendars that it is played with."""

    suite: Suite
    number: int
    rule: str
    book: RuleBook
    calendars: Mapping[str, CalendarSpec]

    def fails(self, mutant: Mutant | None = None) -> list[Problem]:
        """What goes otherwise than expected, on a mutant if one is given."""
        if mutant is None:
            return play(self.suite, self.number, World(self.book, self.calendars))
        bend = mutant.bend or _unbent
        bent = {name: bend(spec) for name, spec in self.calendars.items()}
        return play(self.suite, self.number, World(mutant.book, bent))


def _unbent(spec: CalendarSpec) -> CalendarSpec:
    return spec


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed: the place in the rule book, and what was changed."""

    file: str
    line: int | None
    col: int | None
    rule: str | None
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}  {self.path}: {self.what}, and no test fails"


def files(asked: Sequence[Path], rules: Path) -> list[Path]:
    """The files to run: those asked for, folders with all in them, else what lies beside the book:
    ``tests/rules/*.yaml`` and ``sla_rules.tests.yaml``."""
    if not asked:
        beside = rules.with_name(rules.stem + SUFFIX)
        asked = [path for path in (beside, rules.parent / FOLDER) if path.exists()]
    found: list[Path] = []
    for path in asked:
        found.extend(sorted(path.glob("*.yaml")) if path.is_dir() else [path])
    return found


def load(paths: Iterable[Path], rules: Path, network: Path) -> list[Run]:
    """All cases of these files. Raises ConfigError with every mistake of every file."""
    problems: list[Problem] = []
    books: dict[Path, RuleBook] = {}
    runs: list[Run] = []
    company = load_network(text_of(network), network.name) if network.exists() else None
    for path in paths:
        try:
            suite = load_suite(text_of(path), str(path))
            for name in _books(suite, path, rules):
                if name not in books:
                    books[name] = load_rulebook(text_of(name), name.name)
        except ConfigError as error:
            problems.extend(error.problems or (Problem(str(path), None, None, "", str(error)),))
            continue
        calendars = {**(company.calendars if company else {}), **suite.body.calendars}
        mine = [books[name] for name in _books(suite, path, rules)]
        for n in range(len(suite.body.cases)):
            rule = suite.given(n).rule or ""
            book = next((b for b in mine if b.rule(rule) is not None), mine[0])
            runs.append(Run(suite, n, rule, book, calendars))
    if problems:
        raise ConfigError(problems)
    return runs


def _books(suite: Suite, path: Path, rules: Path) -> list[Path]:
    """The rule books that a file names: in its own folder or one above; else the one in use."""
    found = []
    for n, name in enumerate(suite.body.rules):
        here = path.resolve().parent
        place = next((f / name for f in (here, *here.parents) if (f / name).is_file()), None)
        if place is None:
            said = f"{name} is neither in the folder of this file nor in one above"
            raise ConfigError([suite.problem(("rules", n), said, "correct the name")])
        found.append(place.resolve())
    return found or [rules.resolve()]


def untested(runs: Sequence[Run]) -> list[str]:
    """Rules of the books that no case names."""
    tested = {run.rule for run in runs}
    books = {id(run.book): run.book for run in runs}.values()
    return sorted({rule.id for book in books for rule in book.rules} - tested)


def survivors(
    runs: Sequence[Run], told: Callable[[int, int], None] = lambda _done, _all: None
) -> tuple[int, list[Survivor]]:
    """How many mutants there were, and those that no case noticed.

    ``told`` is called with (done, all) after each. Every case must pass on the books as they are.
    """
    made: list[tuple[RuleBook, Mutant]] = []
    for book in {id(run.book): run.book for run in runs}.values():
        mine = [run for run in runs if run.book is book]
        made.extend((book, mutant) for mutant in mutants(book, _counted_in(mine)))
    found = []
    for n, (book, mutant) in enumerate(made, start=1):
        concerned = (run for run in runs if run.book is book and mutant.rule in (None, run.rule))
        if not any(run.fails(mutant) for run in concerned):
            marks, name = book.source
            place = marks.nearest(mutant.path)
            found.append(
                Survivor(
                    name,
                    place.line if place else None,
                    place.col if place else None,
                    mutant.rule,
                    marks.say(mutant.path),
                    mutant.what,
                )
            )
        told(n, len(made))
    return len(made), found


def _counted_in(runs: Sequence[Run]) -> dict[str, dict[str, CalendarSpec]]:
    """The calendars that the cases of each rule count in."""
    found: dict[str, dict[str, CalendarSpec]] = {}
    for run in runs:
        rule: Any = run.book.rule(run.rule)
        names = {run.suite.given(run.number).calendar, getattr(rule, "calendar", "")}
        mine = found.setdefault(run.rule, {})
        mine |= {name: run.calendars[name] for name in names if name in run.calendars}
    return found
