"""Tables beside photographs, and a store."""

from pathlib import Path

import pytest
from tests.tables import Tables

from imgflow_steps.store import Store


@pytest.fixture
def tables(tmp_path: Path, directory_store: Store) -> Tables:
    return Tables(tmp_path / "in", directory_store)
