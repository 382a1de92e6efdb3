"""What ``make mutation`` does to a program, and that it tells a mutant that is noticed from one that is not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.mutation.__main__ import SUBJECTS, judge
from tests.mutation.mutants import mutants


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("a < b", ["a <= b"]),
        ("a in b and c", ["a in b or c", "a not in b and c"]),
        ("x = 1", ["x = 2"]),
        ("x = True", ["x = False"]),
        ("x = 'a'", ["x = 'aX'"]),
        ("x = 'a sentence'", []),
        ("'''A docstring'''", []),
        ("x: int", []),
        ("x += 1", ["x -= 1", "x += 2"]),
        ("f(a)", ["None"]),
        ("LOG.warning('a')", []),
        ("from a import b", []),
        ("if a:\n    b()", ["if not a:\n    b()", "if a:\n    None"]),
        ("[a for a in b if c]", ["[a for a in b]"]),
        ("def f():\n    return a", ["def f():\n    return None"]),
        ("for a in b:\n    break", ["for a in b:\n    continue"]),
    ],
)
def test_each_mutant_differs_in_one_place(source: str, changed: list[str]) -> None:
    assert [ast.unparse(one.tree) for one in mutants(source)] == changed


def test_what_is_mutated_and_what_has_to_notice_is_there() -> None:
    for subject in SUBJECTS:
        for module, tests in subject.modules:
            assert any(Path(root, *module.split(".")).with_suffix(".py").is_file() for root in ROOTS), module
            assert all(Path(test).is_file() for test in tests), tests


ROOTS = ("steps", "workflows", "service")


@pytest.mark.thorough
def test_a_mutant_that_no_test_is_about_survives(tmp_path: Path) -> None:
    """Of the names in a store, with tests of their beginnings only."""
    test = tmp_path / "test_little.py"
    test.write_text(
        "from imgflow_steps.store.names import local_name\n"
        "def test_it():\n"
        "    assert local_name('a.jpg').endswith('.jpg')\n"
    )
    tried, left = judge("imgflow_steps.store.names", [str(test)], most=12)
    assert tried == 12
    assert 0 < len(left) < 12
