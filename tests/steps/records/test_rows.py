from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made_runs import Meddled

from imgflow_steps.records import rows
from imgflow_steps.records.merge import with_rows
from imgflow_steps.records.row import Entry, Row, Status
from imgflow_steps.records.rows import Compaction, RowsUnreadableError, merged, write_part
from imgflow_steps.store import Store, open_store
from imgflow_steps.store.leftovers import temporary

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "results/Utrecht/0123/rows/"
ODD_NAMES = [
    "a\nb.jpg",
    "\u2028.jpg",
    "😀.jpg",
    r"\udcff.jpg",
    "ü.jpg",
    "Z.jpg",
    "a/ü",
    "a.jpg",
    "\uffff",
    "\U00010000",
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def row(image: str, ended: float = 1.0, **more: Any) -> Row:
    return Row(image=image, version="v1", run="r1", ended=ended, **more)


def read(store: Store) -> list[Row]:
    with merged(store, PREFIX) as found:
        return list(found)


def compact(store: Store, prefix: str) -> None:
    with temporary() as folder:
        compaction = Compaction(store, prefix, Path(folder, "whole"))
        with compaction.merged():
            pass
        compaction.finish()


def files(store: Store) -> list[str]:
    return [found.key for found in store.entries(PREFIX)]


def write_many(store: Store, parts: Iterable[Iterable[Row]]) -> None:
    for part in parts:
        write_part(store, PREFIX, part)


def test_rows_come_back_whole_and_in_the_order_of_their_keys_bytes(store: Store) -> None:
    written = [row(name, status=Status.REJECTED, ms={"decode": 1.5}, code="x") for name in ODD_NAMES]
    write_many(store, [written[::2], written[1::2]])
    assert read(store) == sorted(written, key=lambda r: r.image.encode())


def test_no_rows_are_no_file(store: Store) -> None:
    write_part(store, PREFIX, [])
    assert files(store) == []
    assert read(store) == []


def test_the_row_that_ended_last_counts(store: Store) -> None:
    write_many(store, [[row("a", 2, code="old")], [row("a", 3, code="new")], [row("a", 1, code="oldest"), row("b")]])
    assert [r.code for r in read(store)] == ["new", ""]


def test_of_rows_that_ended_together_the_same_one_counts_whatever_the_files_are_called(tmp_path: Path) -> None:
    picked = set()
    for n, codes in enumerate((["x", "y"], ["y", "x"]) * 3):
        store = open_store(str(tmp_path / str(n)))
        write_many(store, [[row("a", code=code)] for code in codes])
        picked.add(read(store)[0].code)
    assert len(picked) == 1


def test_more_files_than_may_be_open_are_merged_in_groups(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FAN_IN", 3)
    write_many(store, [[row(f"{n % 10:02d}", n)] for n in range(40)])
    assert [(r.image, r.ended) for r in read(store)] == [(f"{n:02d}", 30 + n) for n in range(10)]


def test_reading_leaves_nothing_behind(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    write_many(store, [[row("a"), row("b")], [row("c")]])
    with merged(store, PREFIX) as found:
        assert next(found).image == "a"
    compact(store, PREFIX)
    assert list(scratch.iterdir()) == []


def test_compaction_leaves_one_file_with_the_same_rows_and_a_second_one_changes_nothing(store: Store) -> None:
    write_many(store, [[row("a"), row("c")], [row("b"), row("a", 5)]])
    before = read(store)
    compact(store, PREFIX)
    once = files(store)
    compact(store, PREFIX)
    assert files(store) == once
    assert len(once) == 1
    assert read(store) == before


def test_what_is_compacted_is_read_once_and_what_came_meanwhile_stays(store: Store, tmp_path: Path) -> None:
    write_many(store, [[row("a"), row("c")], [row("b"), row("a", 5)]])
    known = files(store)

    class Counted(Meddled):
        def download(self, key: str, path: Path) -> None:
            reads.append(key)
            store.download(key, path)

    reads: list[str] = []
    compaction = Compaction(Counted(store), PREFIX, tmp_path / "whole")  # type: ignore[arg-type]
    with compaction.merged() as found:
        assert next(found).image == "a"  # whoever reads need not read to the end
    write_part(store, PREFIX, [row("d"), row("a", 9)])
    compaction.finish()

    assert sorted(reads) == known
    assert [(r.image, r.ended) for r in read(store)] == [("a", 9), ("b", 1), ("c", 1), ("d", 1)]
    assert len(files(store)) == 2


def test_a_reading_that_broke_off_compacts_nothing(store: Store, tmp_path: Path) -> None:
    write_many(store, [[row("a")], [row("b")]])
    before, compaction = files(store), Compaction(store, PREFIX, tmp_path / "whole")
    with pytest.raises(ZeroDivisionError), compaction.merged() as found:
        raise ZeroDivisionError(next(found).image)
    compaction.finish()

    assert files(store) == before


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 9)), max_size=4) | st.just("compact"), max_size=8
    )
)
def test_any_order_of_writing_and_compacting_keeps_the_newest_row_of_every_image(
    deeds: list[list[tuple[str, int]] | str],
) -> None:
    newest: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        for deed in deeds:
            if isinstance(deed, str):
                compact(store, PREFIX)
                continue
            write_part(store, PREFIX, [row(image, ended) for image, ended in deed])
            for image, ended in deed:
                newest[image] = max(ended, newest.get(image, 0))
        assert {r.image: r.ended for r in read(store)} == newest


def test_a_compaction_in_the_middle_of_another_loses_nothing(store: Store) -> None:
    write_many(store, [[row("a")], [row("b")], [row("c")]])

    def meddle() -> None:
        compact(store, PREFIX)
        write_part(store, PREFIX, [row("d")])

    compact(Meddled(store, upload=meddle), PREFIX)  # type: ignore[arg-type]
    assert [r.image for r in read(store)] == ["a", "b", "c", "d"]
    compact(store, PREFIX)
    assert [r.image for r in read(store)] == ["a", "b", "c", "d"]
    assert len(files(store)) == 1


def test_a_reader_whose_files_vanish_under_it_starts_over(store: Store) -> None:
    write_many(store, [[row("a")], [row("b")]])
    meddled = Meddled(store, download=lambda: compact(store, PREFIX))
    assert [r.image for r in read(meddled)] == ["a", "b"]  # type: ignore[arg-type]


def test_a_listing_that_saw_neither_the_old_files_nor_the_one_they_went_into_is_taken_again(store: Store) -> None:
    class Torn(Meddled):
        def entries(self, prefix: str) -> Iterable[object]:
            self.entries = store.entries  # type: ignore[method-assign]
            compact(store, prefix)
            return []

    write_many(store, [[row("a")], [row("b")]])
    assert [r.image for r in read(Torn(store))] == ["a", "b"]  # type: ignore[arg-type]


def test_rows_that_never_come_to_rest_are_given_up_with_advice(store: Store) -> None:
    class Restless(Meddled):
        def download(self, key: str, path: Path) -> None:
            store.delete([key])
            write_part(store, PREFIX, [row("a")])
            store.download(key, path)

    write_part(store, PREFIX, [row("a")])
    with pytest.raises(RowsUnreadableError, match="submit again when no other run"):
        read(Restless(store))  # type: ignore[arg-type]


def test_a_damaged_file_is_named_with_the_line_at_fault(store: Store) -> None:
    write_part(store, PREFIX, [row("a")])
    store.write(PREFIX + "torn.jsonl", b'{"image":"b","version":"1"}\n{"ima')
    with pytest.raises(RowsUnreadableError, match=r"line 2 of row file results/Utrecht/0123/rows/torn\.jsonl"):
        read(store)


def test_a_row_of_a_newer_imgflow_is_not_half_understood(store: Store) -> None:
    store.write(PREFIX + "new.jsonl", b'{"image":"b","version":"1","mood":"fine"}\n')
    with pytest.raises(RowsUnreadableError, match=r"mood.*newer imgflow"):
        read(store)


def test_what_is_no_row_file_is_left_alone(store: Store) -> None:
    write_many(store, [[row("a")], [row("b")]])
    store.write(PREFIX + "notes.txt", b"not rows")
    store.write(PREFIX + "deeper/old.jsonl", b"not rows")
    compact(store, PREFIX)
    assert {PREFIX + "notes.txt", PREFIX + "deeper/old.jsonl"} < set(files(store))
    assert [r.image for r in read(store)] == ["a", "b"]


def test_memory_does_not_grow_with_the_rows(store: Store) -> None:
    write_many(store, [[row(f"{n:06d}-{'x' * 200}") for n in range(start, 20_000, 20)] for start in range(20)])
    with merged(store, PREFIX) as found:
        tracemalloc.start()
        assert sum(1 for _ in found) == 20_000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1_000_000


def test_join_gives_each_entry_the_row_of_its_very_version() -> None:
    entries = [Entry(image=name, version="v1") for name in ("a", "b", "c", "d")]
    known = [row("0"), row("b"), row("c").model_copy(update={"version": "v0"}), row("d"), row("e")]
    assert [found.image if found else None for _, found in with_rows(entries, known)] == [None, "b", None, "d"]
