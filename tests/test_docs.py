"""The pages describe what there is: commands, settings, words, codes; and their links lead on."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from typer.main import get_command

from tower import rulebook, settings
from tower.categories import CATEGORIES
from tower.vocabulary import EVENT_TYPES
from worker import answers, command

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def commands() -> dict[str, Any]:
    """ "rules lint" -> the command, for every command there is."""
    found: dict[str, Any] = {}

    def walk(group: Any, path: str) -> None:
        for name, one in group.commands.items():
            if hasattr(one, "commands"):
                walk(one, f"{path}{name} ")
            else:
                found[f"{path}{name}"] = one

    walk(get_command(command.app), "")
    return found


# --- what there is is described -----------------------------------------------------------------


@pytest.mark.parametrize("name", commands())
def test_every_command_is_described(name: str) -> None:
    assert re.search(rf"^\|[^|]*`tower {name}\b", page("command"), re.MULTILINE)


def test_every_setting_is_described_with_its_default() -> None:
    table = page("operations")
    for name, field in settings.Settings.model_fields.items():
        default = None if field.default_factory is not None else field.default
        said = str(default).lower() if isinstance(default, bool) else str(default)
        shown = "" if default is None else f"`{said}`"
        assert not isinstance(default, SecretStr)
        row = f"| `TOWER_{name.upper()}` | {shown} | {field.description} |".replace("|  |", "| |")
        assert row in table, row
    listed = re.findall(r"^\| `(TOWER_\w+)` \|", table, re.MULTILINE)
    assert listed == list(settings.accepted())


def test_every_exit_code_is_described_on_both_pages() -> None:
    codes = {value for name, value in inspect.getmembers(answers) if name.startswith("EXIT_")}
    assert codes == {0, 1, 2, 3, 4, 5, 130}
    for name in ("command", "operations"):
        section = page(name).split("## Exit codes")[1].split("\n## ")[0]
        assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)} == codes


def test_every_field_of_a_rule_book_is_described() -> None:
    text = page("rules")
    fields = {
        field.alias or name
        for model in vars(rulebook).values()
        if inspect.isclass(model) and issubclass(model, BaseModel)
        for name, field in model.model_fields.items()
    }
    assert len(fields) > 40
    assert [name for name in sorted(fields) if f"`{name}`" not in text] == []


def test_every_category_is_described() -> None:
    assert [name for name in CATEGORIES if f"| {name} |" not in page("rules")] == []


def test_every_event_is_described() -> None:
    text = page("events")
    assert [name for name in EVENT_TYPES if f"`{name}`" not in text] == []


# --- what is described is there -----------------------------------------------------------------


def blocks(text: str) -> list[str]:
    """Lines of shell examples, without their comments."""
    return [
        line.partition("#")[0].strip()
        for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        if kind == "sh"
        for line in block.splitlines()
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_and_options_in_examples_exist(path: Path) -> None:
    known = commands()
    text = path.read_text(encoding="utf-8")
    spoken = re.findall(r"`(tower [a-z][^`]*)`", text)
    examples = "\n".join(blocks(text))
    spoken += re.findall(r"^(?:\w+=\S+ )*(tower [a-z].*)$", examples, re.MULTILINE)
    for said in spoken:
        words = said.split()[1:]
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        assert name in known, said
        options = {option for one in known[name].params for option in one.opts} | {"--help"}
        for word in words[1:]:
            if re.match(r"--[a-z]", word):
                assert word.split("=")[0] in options, said


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_make_targets_in_examples_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE):
        assert target in targets, target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_settings_in_texts_exist(path: Path) -> None:
    known = {*settings.accepted(), "TOWER_REQUIRE", "TOWER_TEST_DATABASE_URL"}
    known.add("TOWER_AUDIT_DEPENDENCIES")  # of .ci/run
    known |= {f"{name}_FILE" for name in settings.accepted()}
    named = set(re.findall(r"\bTOWER_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))
    assert named - known - {"TOWER_UNHEALTHY"} == set()  # that one is a category


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            assert target.startswith("https://"), target
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(there), target


def anchors(path: Path) -> set[str]:
    """The anchors that a page offers, made from its headings as code forges do."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
