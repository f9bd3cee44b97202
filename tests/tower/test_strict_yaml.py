"""The YAML loader: words stay words, tricks are refused, every mistake has its place."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from tower.errors import ConfigError, Problem
from tower.strict_yaml import MAX_BYTES, Mark, load, parse


class Shelf(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    kind: Literal["shelf"]
    width: int


class Box(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    kind: Literal["box"]
    colours: tuple[str, ...] = ()


class Store(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    opened: str
    things: list[Annotated[Shelf | Box, Field(discriminator="kind")]] = []


def problems(text: str, model: type[BaseModel] = Store) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, model, "store.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("17:00", "17:00"),
        ("NO", "NO"),
        ("on", "on"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("2026-04-01", "2026-04-01"),
        ("1e3", "1e3"),
        ("1_000", "1_000"),
        (".5", ".5"),
        ("12", 12),
        ("-3", -3),
        ("2.50", 2.5),
        ("true", True),
        ("True", "True"),
        ("null", None),
        ("~", None),
        ("", None),
        ('"12"', "12"),
        ("'true'", "true"),
        ('""', ""),
    ],
)
def test_a_plain_word_is_read_as_written(text: str, value: object) -> None:
    data, _ = load(f"key: {text}", "f.yaml")
    assert data == {"key": value}
    assert type(data["key"]) is type(value)


def test_keys_are_always_words() -> None:
    data, _ = load("on: 1\n12: 2\ntrue: 3\nnull: 4", "f.yaml")
    assert list(data) == ["on", "12", "true", "null"]


def test_every_trick_is_refused_at_its_place_in_one_go() -> None:
    text = "a: 1\na: 2\nb: &x 3\nc: *x\nd: !!str 4\n<<: {e: 1}\n---\nf: 1\n"
    with pytest.raises(ConfigError) as caught:
        load(text, "f.yaml")
    found = [(p.line, p.col, p.message.split(" ", 2)[1]) for p in caught.value.problems]
    assert [place[:2] for place in found] == [(2, 1), (3, 4), (4, 4), (5, 4), (6, 1), (7, 1)]
    assert "written twice (first in line 1)" in str(caught.value)
    for trick in ("anchor", "alias", "tag", "merge", "second document"):
        assert trick in str(caught.value)


def test_an_equal_key_deep_inside_a_list_item_names_the_item() -> None:
    with pytest.raises(ConfigError) as caught:
        load("rules:\n- id: po.late\n  due: {a: 1, a: 2}\n", "f.yaml")
    [problem] = caught.value.problems
    assert str(problem).startswith("f.yaml:3:15  rules[po.late].due.a: is written twice")


@pytest.mark.parametrize(
    ("text", "place", "advice"),
    [
        ("a:\n\t- b", (2, 1), ""),
        ("a: b: c", (1, 5), "quotes"),
        ("a: {b: [}", (1, 9), "bracket"),
        ("? [a, b]\n: c", (1, 3), "key: value"),
        ('a: "x', (1, 6), "quotes"),
    ],
)
def test_broken_syntax_is_reported_with_line_and_column(
    text: str, place: tuple[int, int], advice: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text, "f.yaml")
    problem = caught.value.problems[0]
    assert (problem.line, problem.col) == place
    assert advice in problem.next_step
    assert problem.next_step


@pytest.mark.parametrize("text", ["[" * 5000, "[" * 30 + "]" * 30, "a: " + "{b: " * 25 + "}" * 25])
def test_deep_nesting_is_refused_and_crashes_nothing(text: str) -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        load(text, "f.yaml")


def test_a_file_over_one_megabyte_is_refused_unread() -> None:
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        load("# " + "x" * MAX_BYTES, "f.yaml")


def test_a_forbidden_character_is_reported_at_its_place() -> None:
    with pytest.raises(ConfigError, match=r"f\.yaml:2:5"):
        load('a: 1\nb: "\x00"', "f.yaml")


def test_the_mark_of_a_value_is_where_it_begins() -> None:
    _, marks = load("a:\n  - b: 1\n    c: [x, y]\n", "f.yaml")
    assert marks.values["a", 0, "c", 1] == Mark(3, 12)
    assert marks.keys["a", 0, "c"] == Mark(3, 5)


def test_mistakes_of_the_model_are_joined_to_their_places() -> None:
    text = (
        "opend: x\n"
        "things:\n"
        "- kind: shelf\n"
        "  width: wide\n"
        "- {kind: box, colours: [red, 3]}\n"
        "- {kind: bag}\n"
        "- {width: 3}\n"
    )
    found = problems(text)
    assert [line.split("  ")[0] for line in found] == [
        "store.yaml:1:1",
        "store.yaml:1:1",
        "store.yaml:4:10",
        "store.yaml:5:30",
        "store.yaml:6:10",
        "store.yaml:7:3",
    ]
    said = "\n".join(found)
    assert "opened: is missing\n    next: write opened: ..." in said
    assert "opend: is not known here" in said
    assert 'things[0].width: "wide" is not a whole number' in said
    assert "things[1].colours[1]: 3 is not a text" in said
    assert "kind bag is not known to this version\n    next: write one of: shelf, box" in said
    assert all("next: " in line for line in found)


def test_an_empty_file_misses_what_the_model_needs() -> None:
    assert "opened: is missing" in problems("")[0]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=":-[]{}&*!|>'\"#%@`,? \n\tab1~<.", max_size=60))
def test_any_text_is_data_or_a_config_error(text: str) -> None:
    found: tuple[Problem, ...] = ()
    try:
        load(text, "f.yaml")
    except ConfigError as error:
        found = error.problems
    assert all(p.line and p.col and p.next_step for p in found)
