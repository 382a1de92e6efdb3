"""verify: pictures are made again from sources, rows and parameters; whatever was changed since is named."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests import finders, photographs

from imgflow_steps.records import keys
from imgflow_steps.records.run import load
from imgflow_steps.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

FACE, PLATE = ("face", 0.9, 16.0, 16.0, 16.0, 24.0), ("plate", 0.8, 64.0, 32.0, 24.0, 8.0)
MANY = 3


@pytest.fixture
def made(imgflow: Cli, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A run in which faces and plates were covered apart, then cut in two; its model and ONNX Runtime are gone."""
    for i in range(MANY):
        store.write(keys.images("Demo") + f"{i}.jpg", photographs.jpeg(i))
    model = {"infer": {"model": str(finders.constant(tmp_path, FACE, PLATE))}}
    steps = [model, {"redact": {"labels": ["face"]}}, model, "split:2x1", {"redact": {"by": "mosaic"}}]
    Path("steps.yaml").write_text(yaml.safe_dump({"steps": steps}))
    assert imgflow("submit", "--pipeline", "steps.yaml", "-m", "Demo", "--run", "mine", "--workers", "1").code == 0
    store.delete([one.key for one in store.entries("models/")])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    return store


def picture(store: Store) -> str:
    return next(one.key for one in store.entries("results/") if "/images/" in one.key)


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def moved(text: bytes, by: int) -> bytes:
    """A row whose first box lies elsewhere: one digit is another one."""
    return re.sub(rb'(\["face",0\.9,)(\d)', lambda found: found[1] + b"%d" % (int(found[2]) + by), text, count=1)


def rows(store: Store) -> str:
    [key] = [one.key for one in store.entries(load(store, "mine").rows)]
    return key


def test_what_nobody_has_touched_is_the_same_without_any_model(imgflow: Cli, made: Store) -> None:
    done = imgflow("verify", "mine")  # of a piece, one box is covered first, and two more when it is cut
    assert (done.code, done.out.strip()) == (
        0,
        f"mine: {2 * MANY} pictures of {MANY} images made again · {6 * MANY} boxes covered in them · the same bytes",
    )
    said = imgflow("verify", "mine", "--sample", "2", "-o", "json").json
    assert (said["ok"], said["images"], said["pictures"], said["findings"]) == (True, 2, 4, [])


def test_one_byte_of_a_picture_is_found_wherever_it_is(imgflow: Cli, made: Store) -> None:
    key = picture(made)
    data = made.read(key)
    for place in range(0, len(data), max(1, len(data) // 7)):
        made.write(key, flipped(data, place))
        said = imgflow("verify", "mine", "-o", "json")
        assert said.code == 1
        assert [(one["fault"], one["key"]) for one in said.json["findings"]] == [("picture", key)], place
    made.delete([key])
    gone = imgflow("verify", "mine")
    assert (gone.code, "no longer in the store" in gone.out, "--repair" in gone.err) == (1, True, True)


@pytest.mark.parametrize("where", ["results.jsonl", "rows"])
def test_one_digit_of_a_row_is_found_though_the_picture_would_be_the_same(
    imgflow: Cli, made: Store, where: str
) -> None:
    key = keys.results_jsonl("mine") if where == "results.jsonl" else rows(made)
    changed = re.sub(rb'\["face",0\.9,16\.0', b'["face",0.9,16.1', made.read(key), count=1)
    assert changed != made.read(key)
    made.write(key, changed)
    said = imgflow("verify", "mine", "-o", "json")
    assert (said.code, said.json["faults"]["row"], said.json["findings"][0]["image"]) == (1, 1, "0.jpg")


def test_a_row_that_was_changed_everywhere_gives_another_picture(imgflow: Cli, made: Store) -> None:
    for key in (keys.results_jsonl("mine"), rows(made)):
        made.write(key, moved(made.read(key), 3))
    said = imgflow("verify", "mine", "-o", "json")
    assert said.code == 1
    assert said.json["faults"]["other"] == 1
    assert imgflow("verify", "mine", "-o", "name").out.split()[0] == "0.jpg"


def test_a_store_that_was_copied_elsewhere_is_verified_there(imgflow: Cli, made: Store, tmp_path: Path) -> None:
    shutil.copytree(made.url, tmp_path / "copy")
    assert imgflow("verify", "mine", "--store", str(tmp_path / "copy")).code == 0


def test_a_source_that_is_another_one_is_told_apart(imgflow: Cli, made: Store) -> None:
    made.write(keys.images("Demo") + "1.jpg", photographs.jpeg(9))
    said = imgflow("verify", "mine", "-o", "json")
    assert (said.code, said.json["faults"]["source"], sum(said.json["faults"].values())) == (1, 1, 1)


def test_a_run_of_other_versions_of_steps_is_refused(imgflow: Cli, made: Store) -> None:
    key = keys.listing_json("mine")
    made.write(key, re.sub(rb'"digest":"[0-9a-f]{16}"', b'"digest":"%s"' % (b"0" * 16), made.read(key)))
    refused = imgflow("verify", "mine")
    assert (refused.code, "verify it with that version" in refused.err) == (2, True)
