"""One image's lines are found in a sorted file, and the rest of the file is not read."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgflow_steps.records.row import Entry
from imgflow_steps.store import ChangedError, Store, StoredObject, open_store
from imgflow_workflows.runs import seek as module
from imgflow_workflows.runs.seek import last_before, lines, near, seek

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


class Counted:
    """A real store that counts the bytes it gives."""

    def __init__(self, store: Store) -> None:
        self._store, self.bytes, self.reads = store, 0, 0

    def read_range(self, key: str, start: int, length: int, version: str = "") -> bytes:
        data = self._store.read_range(key, start, length, version)
        self.bytes, self.reads = self.bytes + len(data), self.reads + 1
        return data


def put(store: Store, images: list[str], *, end: bool = True) -> StoredObject:
    key = f"{uuid4().hex}.jsonl"
    rows = [Entry(image=i, version="v", bytes=n).model_dump_json().encode() for n, i in enumerate(images)]
    store.write(key, b"\n".join(rows) + (b"\n" if end and rows else b""))
    found = store.stat(key)
    assert found
    return found


@given(st.lists(names, max_size=40), names, st.integers(1, 80), st.integers(1, 200), st.booleans())
@settings(max_examples=150, deadline=None)
def test_it_finds_what_reading_the_whole_file_finds(
    tmp_path_factory: pytest.TempPathFactory, images: list[str], wanted: str, piece: int, near: int, end: bool
) -> None:
    images.sort(key=str.encode)
    store = open_store(str(tmp_path_factory.getbasetemp() / "seek"))
    file = put(store, images, end=end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", piece)
        patch.setattr(module, "NEAR", near)
        for image in {wanted, *images}:
            found = [Entry.model_validate_json(line).bytes for line in seek(store, file, image)]
            assert found == [n for n, name in enumerate(images) if name == image]


def test_of_a_large_file_only_a_few_pieces_are_read(store: Store) -> None:
    images = [f"{i:06d}.jpg" for i in range(30_000)]
    file, counted = put(store, images), Counted(store)

    [line] = seek(counted, file, "020202.jpg")  # type: ignore[arg-type]  # it only reads

    assert Entry.model_validate_json(line).bytes == 20_202
    assert counted.reads < 16
    assert counted.bytes < file.bytes / 4


def test_a_file_that_changes_meanwhile_is_not_read_as_a_mixture(store: Store) -> None:
    file = put(store, ["a", "b"])
    store.write(file.key, b'{"image": "c"}\n')

    with pytest.raises(ChangedError):
        seek(store, file, "a")


def test_what_would_lie_beside_an_image_is_near_it(directory_store: Store) -> None:
    file = put(directory_store, [f"{i:06d}.jpg" for i in range(30_000)])

    around = [Entry.model_validate_json(line).image for line in near(directory_store, file, "020202.jpgg")]

    assert {"020202.jpg", "020203.jpg"} <= set(around)
    assert len(around) < 1500


def test_no_file_is_read_beyond_its_end(store: Store) -> None:
    assert list(lines(store, put(store, []))) == []
    assert seek(store, put(store, ["a"], end=False), "b") == []


@given(st.lists(st.integers(0, 30), unique=True, max_size=20), st.integers(0, 30), st.integers(1, 5))
def test_of_files_that_continue_each_other_the_only_one_that_may_hold_an_image_is_named(
    numbers: list[int], wanted: int, size: int
) -> None:
    ordered = [f"{n:02d}" for n in sorted(numbers)]
    cut = {str(i): ordered[i : i + size] for i in range(0, len(ordered), size)}

    named = last_before(
        list(cut), f"{wanted:02d}", lambda key: Entry(image=cut[key][0], version="").model_dump_json().encode()
    )

    holders = [key for key, images in cut.items() if f"{wanted:02d}" in images]
    assert not holders or holders == [named]
    assert named is not None or not ordered or f"{wanted:02d}" < ordered[0]
