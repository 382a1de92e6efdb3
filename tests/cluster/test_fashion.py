"""Five thousand images and a table of them, from the table to results that can be asked, on a cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.journeys import of_the_fashion_data_set

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.conftest import Place

pytestmark = pytest.mark.cluster


def test_five_thousand_images_of_a_table_are_selected_augmented_inferred_on_and_exported(
    place: Place, tmp_path: Path
) -> None:
    def told(*arguments: str) -> Any:
        done = place.imgflow(*arguments, "-o", "json")
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    of_the_fashion_data_set(told, tmp_path, 5000)
