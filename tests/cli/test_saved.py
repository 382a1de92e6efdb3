"""A file that a command saves is asked for before the work, and one that was there stays until the new one is whole."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import photographs

from imgflow_cli.saved import check_savable, save
from imgflow_workflows.errors import ImgflowError

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.mark.parametrize("page", ["folder", "taken/x.html", "loop", "nowhere/x.html"])
def test_diff_says_before_it_compares_that_its_page_cannot_be_written(imgflow: Cli, page: str) -> None:
    photographs.folder(Path("in"), 1)
    assert imgflow("ingest", "in", "-m", "Demo").code == 0
    assert imgflow("submit", "-m", "Demo", "--steps", "scale:50%", "--run", "one").code == 0
    assert imgflow("submit", "-m", "Demo", "--steps", "scale:40%", "--run", "two").code == 0
    Path("folder").mkdir()
    Path("taken").touch()
    Path("loop").symlink_to("loop")

    done = imgflow("diff", "one", "two", "--page", page)

    assert (done.code, done.out) == (2, "")
    assert f"{page} cannot be written" in done.err


def test_a_page_that_was_there_stays_where_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "report.html"
    page.write_text("of yesterday")

    def half(path: Path, data: bytes) -> Any:
        with path.open("wb") as file:
            file.write(data[:2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)

    with pytest.raises(ImgflowError, match="No space left"):
        save(page, b"of today", "")

    assert page.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [page]


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    for name in ("link", "pipe"):
        check_savable(tmp_path / name, "")
        save(tmp_path / name, b"page", "")

    assert ((tmp_path / "link").is_symlink(), (tmp_path / "target").read_bytes()) == (True, b"page")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert os.read(reader, 9) == b"page"
    os.close(reader)
