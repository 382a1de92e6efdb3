"""What is not processed is told by suffix, and a place without images is an error that says what is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs

from imgflow_steps.records import keys
from imgflow_steps.store import Store, open_store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli, Outcome

QUICK = ("--steps", "scale:50%", "--workers", "1")
LEFT_OUT = "2 listed · 3 .psd, 2 .xcf, 1 hidden skipped"


@pytest.fixture
def photos() -> Path:
    folder = photographs.folder(Path("photos"), 2)
    for name in ("1.psd", "2.PSD", "a/3.psd", "1.xcf", "2.xcf", ".thumbnails/t.jpg"):
        put(folder / name)
    return folder


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(photographs.jpeg(1))


def told(done: Outcome, key: str = "unlisted") -> dict[str, int]:
    left_out: dict[str, int] = done.json[key]
    return left_out


def test_what_is_left_out_is_counted_by_suffix_wherever_a_run_is_told(imgflow: Cli, photos: Path, store: Store) -> None:
    plan = imgflow("plan", "-m", "Demo", "--source", str(photos))
    done = imgflow("submit", "-m", "Demo", "--source", str(photos), *QUICK, "--run", "one")
    again = imgflow("get", "one", "-o", "json")

    assert f"{LEFT_OUT}, 2 to do" in plan.out
    assert "2 listed = 2 processed + 0 cached + 0 rejected + 0 failed · 3 .psd, 2 .xcf, 1 hidden skipped" in done.out
    assert told(again) == {".psd": 3, ".xcf": 2, "hidden": 1}
    assert "Skipped: 3 .psd, 2 .xcf, 1 hidden." in store.read(keys.report("one") + "index.html").decode()


def test_ingest_counts_them_too_and_patterns_choose(imgflow: Cli, photos: Path) -> None:
    plain = imgflow("ingest", str(photos), "-m", "Demo")
    chosen = imgflow("ingest", str(photos), "-m", "Other", "--exclude", "b/", "-o", "json")
    hidden = imgflow("ingest", str(photos), "-m", "Third", "--include", ".thumbnails", "-o", "json")

    assert "3 .psd, 2 .xcf, 1 hidden skipped" in plain.out
    assert "thumbnails" not in plain.err
    assert (chosen.json["copied"], told(chosen, "left_out")["excluded"]) == (1, 1)
    assert (hidden.json["copied"], told(hidden, "left_out")) == (1, {"excluded": 7})


def test_a_link_out_of_the_folder_is_named_with_the_flag_that_follows_it(imgflow: Cli, photos: Path) -> None:
    put(Path("elsewhere/x.jpg"))
    (photos / "x.jpg").symlink_to(Path("elsewhere/x.jpg").absolute())

    left = imgflow("ingest", str(photos), "-m", "Demo")
    followed = imgflow("ingest", str(photos), "-m", "Demo", "--follow-links", "-o", "json")

    assert "x.jpg: link: it is a link that leads out of the folder, or nowhere; --follow-links" in left.err
    assert followed.json["copied"] == 1


def test_process_takes_patterns_and_says_what_it_left(imgflow: Cli, photos: Path) -> None:
    done = imgflow("process", str(photos), "out", *QUICK, "--include", "a/", "-o", "json")

    assert done.json["counts"]["processed"] == 1
    assert told(done) == {"excluded": 6, ".psd": 1}


def test_patterns_of_another_submit_choose_other_images_of_the_dataset(imgflow: Cli, photos: Path) -> None:
    imgflow("ingest", str(photos), "-m", "Demo")

    done = imgflow("submit", "-m", "Demo", *QUICK, "--exclude", "a/*", "-o", "json")

    assert done.json["counts"]["processed"] == 1


@pytest.mark.parametrize("command", [("submit", *QUICK), ("plan",), ("submit", *QUICK, "--dry-run")])
def test_a_source_in_which_nothing_is_an_image_is_an_error_with_what_is_there(
    imgflow: Cli, store: Store, command: tuple[str, ...]
) -> None:
    for name in ("raw/1.psd", "raw/2.psd", "raw/notes.txt"):
        put(Path(name))

    done = imgflow(*command, "-m", "Demo", "--source", "raw")

    assert done.code == 2
    assert "raw is an image; there are: 2 .psd, 1 .txt" in done.err
    assert "convert them to JPEG, PNG or TIFF first: .psd" in done.err
    assert list(store.entries()) == []


def test_process_of_such_a_folder_is_an_error_too(imgflow: Cli) -> None:
    put(Path("raw/1.cr2"))

    done = imgflow("process", "raw", "out", *QUICK)

    assert (done.code, "there are: 1 .cr2" in done.err) == (2, True)
    assert "darktable-cli photo.cr2 photo.jpg" in done.err


def test_photographs_that_are_not_read_are_rejected_by_name_with_the_command_that_converts_them(
    imgflow: Cli, photos: Path
) -> None:
    for name in ("1.DNG", "a/two words.nef", "2.jxl", "scan.pdf"):
        put(photos / name)

    done = imgflow("submit", "-m", "Demo", "--source", str(photos), *QUICK, "--run", "one")
    rows = imgflow("query", "SELECT image, message FROM results WHERE status = 'rejected' ORDER BY image", "-o", "json")

    assert "6 listed = 2 processed + 0 cached + 4 rejected" in done.out
    assert [row["image"] for row in rows.json] == ["1.DNG", "2.jxl", "a/two words.nef", "scan.pdf"]
    commands = [
        "darktable-cli 1.DNG 1.jpg",
        "djxl 2.jxl 2.png",
        "'two words.nef' 'two words.jpg'",
        "-r 300 scan.pdf scan",
    ]
    assert all(command in row["message"] for command, row in zip(commands, rows.json, strict=True))


def test_a_dataset_in_which_nothing_is_an_image_is_an_error(imgflow: Cli, store: Store) -> None:
    store.write(keys.images("Demo") + "key", b"secret")

    done = imgflow("submit", "-m", "Demo", *QUICK)

    assert (done.code, "there are: 1 without a suffix" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("name", "flags", "way"),
    [
        (".a/x.jpg", (), "--include PATTERN takes hidden files"),
        ("~snapshot/x.jpg", (), "--include PATTERN takes hidden files"),
        ("Network Trash Folder/x.jpg", (), "--include PATTERN takes hidden files"),
        ("x.jpg", ("--include", "*.png"), "see whether --include, --exclude or .imgflowignore"),
        ("link.jpg", (), "--follow-links takes what links lead to"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "submit"])
def test_a_source_whose_images_are_left_out_for_where_they_are_says_what_takes_them(
    imgflow: Cli, command: str, name: str, flags: tuple[str, ...], way: str
) -> None:
    if name == "link.jpg":
        Path("in").mkdir()
        Path("in/link.jpg").symlink_to("/etc/hostname")
    else:
        put(Path("in") / name)

    done = imgflow(command, "-m", "Demo", "--source", "in", *flags)

    assert done.code == 2
    assert way in done.err


def test_an_empty_folder_and_a_file_are_no_sources(imgflow: Cli) -> None:
    Path("void").mkdir()
    put(Path("x.jpg"))

    assert "there is nothing in" in imgflow("submit", "-m", "Demo", "--source", "void").err
    assert imgflow("submit", "-m", "Demo", "--source", "void").code == 2
    assert "it is a file; give its folder" in imgflow("submit", "-m", "Demo", "--source", "x.jpg").err


def test_a_prefix_that_matches_nothing_and_the_address_of_one_object_are_errors_with_what_is_there(
    imgflow: Cli, moto_store: Store
) -> None:
    moto_store.write("2024/p/1.jpg", photographs.jpeg(1))
    moto_store.write("2024/q/1.jpg", photographs.jpeg(1))
    url = moto_store.url.rstrip("/")

    wrong = imgflow("submit", "-m", "Demo", "--source", f"{url}/2024/x")
    one = imgflow("plan", "-m", "Demo", "--source", f"{url}/2024/p/1.jpg")
    right = imgflow("plan", "-m", "Demo", "--source", f"{url}/2024/p")

    assert (wrong.code, one.code, right.code) == (2, 2, 0)
    assert f"there is nothing in {url}/2024/x; in {url}/2024/ there are p/, q/" in wrong.err
    assert "that is one object; give its prefix" in one.err


def test_a_folder_that_cannot_be_read_is_told_and_ends_with_1(
    imgflow: Cli, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os  # noqa: PLC0415 - what is patched

    imgflow("submit", "-m", "Demo", "--source", str(photos), *QUICK)
    put(photos / "locked/x.jpg")
    scan = os.scandir

    def refuse(path: str | bytes | int) -> object:
        if isinstance(path, bytes) and path.rstrip(b"/").endswith(b"locked"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    ingested = imgflow("ingest", str(photos), "-m", "Demo")
    monkeypatch.setattr("imgflow_workflows.engines.local.LocalEngine.submit", here)
    run = imgflow("submit", "-m", "Demo", "--source", str(photos), *QUICK)

    assert ingested.code == 1
    assert "2 copied" in ingested.out
    assert "locked: unreadable" in ingested.err
    assert run.code == 1
    assert "1 folders or files could not be read: locked; make them readable" in run.out


def here(engine: object, run: object) -> None:
    """List and collect in this process, where the folder is locked."""
    from imgflow_steps.collect.work import run as collect  # noqa: PLC0415 - only here
    from imgflow_steps.list.work import run as list_images  # noqa: PLC0415 - likewise

    store = open_store(str(Path(".imgflow")))
    list_images(store, run)  # type: ignore[arg-type]  # a run
    collect(store, run, output=None)  # type: ignore[arg-type]  # likewise
