"""The label of a municipality that Argo computes where ``argo submit`` names it is the one that imgflow writes."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgflow_steps.records import keys
from imgflow_workflows.argo.template import MUNICIPALITY_LABEL, SPELLINGS

LETTERS = [chr(code) for code in range(0x20, 0x7F)] + [chr(code) for code in range(0xC0, 0x100)]


def label(parameter: str) -> str:
    """As Argo evaluates the template's expression."""
    text = parameter.lower()
    for pattern, spelt in SPELLINGS:
        text = re.sub(pattern, spelt, text)
    return text.strip("-")[:40].strip("-") or "x"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Straßgängen", "strassgangen"),
        ("Östra Göinge", "ostra-goinge"),
        ("Ærøskøbing", "rskbing"),
        ("东京", "x"),
        ("a/b", "a-b"),
    ],
)
def test_umlauts_are_spelt_as_submit_spells_them(name: str, wanted: str) -> None:
    assert label(name) == label(quote(name, safe="")) == keys.slug(name) == wanted


@given(st.text(st.sampled_from(LETTERS), min_size=1, max_size=30).filter(str.strip))
def test_every_name_in_western_letters_gets_the_same_label_percent_encoded_or_not(name: str) -> None:
    assert label(keys.encode(name)) == keys.slug(keys.decode(keys.encode(name)))


def test_the_expression_holds_what_the_spellings_are() -> None:
    assert str([list(pair) for pair in SPELLINGS]) in MUNICIPALITY_LABEL
