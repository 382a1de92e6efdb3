"""The example notebook is executed, and shows what the committed one shows.

``IMGFLOW_GOLDEN=rewrite``, or `make notebook`, writes it anew. Of pictures their sizes are compared: other versions of
Pillow write other bytes.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / "docs/notebook.ipynb"
REWRITE = os.environ.get("IMGFLOW_GOLDEN") == "rewrite"
ELSEWHERE = "/photographs"  # what stands for the folder it was executed in


def executed(folder: Path) -> Any:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, resources=resources, record_timing=False, timeout=300)
    client.execute()
    notebook.metadata.pop("language_info", None)  # of whoever executes it
    text = nbformat.writes(notebook).replace(str(folder), ELSEWHERE)
    return nbformat.reads(re.sub(r" at 0x[0-9a-f]+", "", text), as_version=4)


def shown(notebook: Any) -> list[list[dict[str, Any]]]:
    return [
        [{kind: _steady(text) for kind, text in _texts(output).items()} for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _texts(output: Any) -> dict[str, str]:
    return output["data"] if "data" in output else {output.output_type: output.get("text", "")}


def _steady(text: str) -> str:
    def size(match: re.Match[str]) -> str:
        with Image.open(BytesIO(b64decode(match[1]))) as picture:
            return f"a picture of {picture.width}x{picture.height}"

    text = re.sub(r"data:image/jpeg;base64,([\w+/=]+)", size, text)
    return re.sub(r"\([\d.]+ [kM]?B\)", "(some bytes)", text)


@pytest.mark.thorough
def test_the_example_shows_what_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))

    notebook = executed(tmp_path)

    if REWRITE:
        nbformat.write(notebook, NOTEBOOK)
    assert shown(notebook) == shown(nbformat.read(NOTEBOOK, as_version=4))


def test_the_example_is_committed_with_all_that_it_shows_and_no_error() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert all(cell.execution_count for cell in cells)
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) // 2
    assert not [output for cell in cells for output in cell.outputs if output.output_type in {"error", "stream"}]
