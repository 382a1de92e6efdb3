"""Texts that people read keep the words of CONTRIBUTING: help, errors, report, and the pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from imgflow_cli import app

PACKAGES = ("cli", "workflows", "steps", "service", "client")
HOME_MADE = re.compile(
    r"\bso many\b|(?<![Tt]here )\bis none\b"
    r"|(?<![Tt]here )\bis no (?!longer\b)|\bgo(es)? on\b|\bhold each other\b|\bleft out\b"
    r"|\bput aside\b|\bmade otherwise\b|\b(is|are|was) told\b|\bto mend\b|\bmends it\b|\bother ones\b|\bno honest\b"
)

CALQUES = re.compile(r"\bso many\b|\bhold each other\b|\bput aside\b|\bmade otherwise\b|\bno honest\b|\bgoes on\b")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """String literals of a module with more than one word, without docstrings: what it may say to a person."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, documented) and node.body]
    docstrings = {id(node.value) for node in first if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def test_no_text_of_the_program_has_a_home_made_verb(root: Path) -> None:
    found = [
        f"{path.relative_to(root)}:{line}: {text}"
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
        for line, text in texts(path)
        if HOME_MADE.search(text)
    ]

    assert found == [], "CONTRIBUTING.md, Words, says what to write instead"


def test_no_help_of_a_command_has_one() -> None:
    assert {name: app.load(name).help for name in app.COMMANDS if HOME_MADE.search(app.load(name).help)} == {}


def test_no_page_has_one(root: Path) -> None:
    pages = [root / "README.md", *sorted(root.glob("docs/*.md")), *sorted(root.glob("docs/reference/*.md"))]
    found = []
    for page in pages:
        text = " ".join(page.read_text(encoding="utf-8").split())  # a sentence has no line breaks
        found += [f"{page.name}: …{text[max(0, m.start() - 40) : m.end() + 40]}…" for m in CALQUES.finditer(text)]

    assert found == [], "CONTRIBUTING.md, Words, says what to write instead"
