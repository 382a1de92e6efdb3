"""How much is tried: every behaviour, or with IMGFLOW_THOROUGH=1 also what takes long to show it again."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from typing import Any

import pytest
from hypothesis import settings

THOROUGH = os.environ.get("IMGFLOW_THOROUGH", "") not in {"", "0"}
SHARE = 3  # of the examples that a thorough run tries, one in so many is tried always

settings.register_profile("imgflow", deadline=None, max_examples=100 if THOROUGH else 100 // SHARE)
settings.load_profile("imgflow")


def examples(count: int) -> settings:
    """Settings of a property that needs another number of examples than most."""
    return settings(deadline=None, max_examples=count if THOROUGH else max(1, count // SHARE))


def mostly_thorough(values: Iterable[Any], always: Container[Any]) -> list[Any]:
    """Parameters of a test; those that are not ``always`` tried belong to the thorough run."""
    return [value if value in always else pytest.param(value, marks=pytest.mark.thorough) for value in values]
