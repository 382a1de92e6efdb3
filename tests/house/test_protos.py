"""The code of the service's messages is what its protos say."""

from __future__ import annotations

import runpy
from pathlib import Path


def test_the_committed_code_of_the_protos_is_what_they_give_today(root: Path, tmp_path: Path) -> None:
    runpy.run_path(str(root / "service/generate.py"))["generate"](tmp_path)

    made = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*_pb2*")}
    kept = {path: (root / "service" / path).read_text() for path in made}
    assert len(made) == 6
    assert kept == made, "`make protos` writes it anew"
