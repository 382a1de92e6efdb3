"""Images and a table of them, from the table to results that can be asked, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.journeys import of_the_fashion_data_set
from tests.thorough import THOROUGH

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def test_images_of_a_table_are_selected_augmented_inferred_on_and_exported(imgflow: Cli) -> None:
    def told(*arguments: str) -> Any:
        done = imgflow(*arguments, "-o", "json")
        assert done.code == 0, f"{arguments}\n{done.out}\n{done.err}"
        return done.json

    of_the_fashion_data_set(told, Path(), 5000 if THOROUGH else 200)
