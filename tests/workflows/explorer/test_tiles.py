"""What a tile of the grid says below its picture."""

from __future__ import annotations

from imgflow_workflows.explorer import pages


def test_images_of_one_name_in_two_folders_are_told_apart() -> None:
    tiles = [str(one) for one in pages.tiles([("Delft", f"{folder}/001.jpg", "processed", None) for folder in "ab"])]

    assert [one.count(">a<") + 2 * one.count(">b<") for one in tiles] == [1, 2]


def test_what_the_grid_is_sorted_by_and_why_there_is_no_picture_come_first() -> None:
    [sorted_by, rejected] = map(
        str, pages.tiles([("Delft", "a/1.jpg", "processed", 0.25), ("Delft", "a/2.jpg", "rejected", None)])
    )

    assert ">0.25<" in sorted_by
    assert ">a<" not in sorted_by
    assert rejected.count(">rejected<") == 2
