"""Mappings: what the model accepts, and the words for what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tower.errors import ConfigError
from tower.mapping import Mapping, placeholders
from tower.strict_yaml import parse


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, Mapping, "m.yaml")
    return str(caught.value)


def test_numbers_and_truth_values_mean_the_text_that_is_sent() -> None:
    mapping = parse(
        "format: csv\nemit:\n  - event: po.acknowledged\n    when: {status: [10, true]}\n"
        "    fields: {po: 7}\n    codes: {answer: {1: accepted}}\n",
        Mapping,
        "m.yaml",
    )
    assert mapping.emit[0].when == {"status": ["10", "true"]}
    assert mapping.emit[0].fields == {"po": "7"}
    assert mapping.emit[0].codes == {"answer": {"1": "accepted"}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("format: yaml\nemit: []", "'csv', 'json', 'log' or 'xml'"),
        ("format: csv\nemit: []", "emit"),
        ("format: csv\nemit: [{event: po.acknoledged}]", "write po.acknowledged"),
        ("format: csv\nemit: [{event: po.held, fields: {qty: a}}]", "po.held has no field qty"),
        ("format: csv\nemit: [{event: po.held, lines: {line: a}}]", "has no line field line"),
        ("format: csv\nemit: [{event: po.held, codes: {answer: {}}}]", "has no field answer"),
        ("format: csv\nencoding: utf-9\nemit: [{event: po.held}]", "is not an encoding"),
        ("format: csv\nzone: Mars\nemit: [{event: po.held}]", "is not a time zone"),
        ("format: csv\ndate_format: dd.mm\nemit: [{event: po.held}]", "write one like %d.%m.%Y"),
        ("format: csv\ndelimiter: ';;'\nemit: [{event: po.held}]", "delimiter"),
        ("format: csv\nheader: false\nemit: [{event: po.held}]", "must name its columns"),
        ("format: csv\nthousands: '.'\nemit: [{event: po.held}]", "are the same sign"),
        ("format: csv\nquote: ','\nemit: [{event: po.held}]", "are the same sign"),
        ("format: json\ngroup_by: [a]\nemit: [{event: po.held}]", "belongs to format csv"),
        ("format: json\nemit: [{event: po.held, whne: {a: b}}]", "is not known here"),
    ],
)
def test_a_mistake_is_told_with_line_and_what_to_write(text: str, said: str) -> None:
    message = refused(text)
    assert said in message
    assert message.startswith("m.yaml:")


@pytest.mark.parametrize("form", ["epoch_s", "epoch_ms", "%d.%m.%Y", "%Y%m%d%H%M%S", "%d-%b-%y"])
def test_usual_forms_of_dates_are_accepted(form: str) -> None:
    given: dict[str, Any] = {
        "format": "json",
        "time_format": form,
        "emit": [{"event": "po.held"}],
    }
    assert Mapping.model_validate(given).time_format == (form,)
    several = given | {"time_format": [form, "%Y"]}
    assert Mapping.model_validate(several).time_format == (form, "%Y")


def test_the_parts_of_a_template_are_its_placeholders() -> None:
    assert placeholders("po:{ number }:{version}") == ("number", "version")
