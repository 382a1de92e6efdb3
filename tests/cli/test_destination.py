"""process says before it computes that its pictures could not be put where they are to go."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import photographs

from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.results.destination import check_destination

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.mark.parametrize("out", ["taken", "taken/deeper/still", "dangling"])
def test_an_out_dir_that_is_a_file_is_refused_before_anything_is_computed(imgflow: Cli, out: str) -> None:
    photographs.folder(Path("in"), 2)
    Path("taken").write_text("somebody's own")
    Path("dangling").symlink_to("nowhere")

    done = imgflow("process", "in", out)

    assert done.code == 2
    assert f"{out} cannot be a folder for pictures" in done.err
    assert "give another OUT_DIR" in done.err
    assert not Path(".imgflow").exists()
    assert Path("taken").read_text() == "somebody's own"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; run the tests as another user")
def test_an_out_dir_without_the_right_to_write_is_refused(imgflow: Cli) -> None:
    photographs.folder(Path("in"), 2)
    Path("locked").mkdir(mode=0o500)

    done = imgflow("process", "in", "locked/out")

    assert done.code == 2
    assert "nothing can be written to" in done.err


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "is full"),
        (errno.EFBIG, "File too large"),
        (errno.EROFS, "Read-only file system"),
    ],
)
def test_a_full_or_read_only_disk_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    def refuse(**_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)

    with pytest.raises(ImgflowError, match=says):
        check_destination(tmp_path / "out")


def test_a_folder_that_can_be_made_is_not_made_yet(tmp_path: Path) -> None:
    check_destination(tmp_path / "a/b")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
def test_what_cannot_be_a_folder_at_all_is_refused() -> None:
    with pytest.raises(ImgflowError, match="/dev/full is a file"):
        check_destination(Path("/dev/full"))


LOOP = "loop/deeper"


@pytest.mark.parametrize("out", ["taken", "taken/deeper", "loop", LOOP, "dangling"])
@pytest.mark.parametrize("command", [("fetch", "@latest"), ("export", "-m", "Demo"), ("process", "in")])
def test_every_command_that_fills_a_folder_refuses_what_cannot_be_one(
    imgflow: Cli, command: tuple[str, ...], out: str
) -> None:
    photographs.folder(Path("in"), 1)
    assert imgflow("ingest", "in", "-m", "Demo").code == 0
    if command[0] == "fetch":
        assert imgflow("submit", "-m", "Demo", "--steps", "scale:50%").code == 0
    Path("taken").write_text("somebody's own")
    Path("dangling").symlink_to("nowhere")
    Path("loop").symlink_to("pool")
    Path("pool").symlink_to("loop")

    done = imgflow(*command, out)

    assert (done.code, "cannot be a folder for pictures" in done.err) == (2, True)
    assert Path("taken").read_text() == "somebody's own"


@pytest.mark.parametrize("command", [("fetch", "@latest"), ("export", "-m", "Demo")])
def test_a_disk_that_fills_up_is_not_a_store_that_cannot_be_reached(
    imgflow: Cli, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs.folder(Path("in"), 1)
    assert imgflow("ingest", "in", "-m", "Demo").code == 0
    assert imgflow("submit", "-m", "Demo", "--steps", "scale:50%").code == 0
    whole = os.replace

    def fill(path: Path, target: Path) -> Path:
        if "out" in Path(target).parts:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        whole(path, target)
        return Path(target)

    monkeypatch.setattr(Path, "replace", fill)

    done = imgflow(*command, "out")

    assert (done.code, "No space left" in done.err) == (1, True)
    assert "run the same command again to resume" in done.err
