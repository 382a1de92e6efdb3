"""Small things in large pictures: pieces cover a picture with little work, and nothing is told twice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgflow_steps.infer import PIECE, Infer, looking, things
from imgflow_steps.infer.decoders import Candidates

sides = st.integers(1, 9000)
tiles = st.integers(PIECE, 2048)


@given(sides, sides, tiles)
def test_pieces_cover_a_picture_and_whatever_is_smaller_than_128_pixels_lies_whole_in_one(
    width: int, height: int, tile: int
) -> None:
    cut = list(looking.pieces(width, height, tile))
    assert len(cut) != 1, "a picture that is one piece is looked at whole, once"
    for axis, side in ((0, width), (1, height)):
        spans = sorted({(piece[axis], piece[axis + 2]) for piece in cut}) or [(0, side)]
        assert (spans[0][0], spans[-1][1]) == (0, side)
        assert all(before[1] - after[0] >= 128 for before, after in pairwise(spans))
        assert max(end - start for start, end in spans) < 1.1 * tile + looking.MULTIPLE or not cut
    assert len(set(cut)) == len(cut)


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4000), (4032, 3024), (4240, 2832)])
@pytest.mark.parametrize("tile", [1024, 1280])
def test_pieces_of_twelve_megapixels_are_no_more_than_1_3_of_their_area(size: tuple[int, int], tile: int) -> None:
    work = sum((right - left) * (lower - upper) for left, upper, right, lower in looking.pieces(*size, tile))
    assert 1 <= work / (size[0] * size[1]) <= 1.3


WHOLE, PART, BESIDE = [100, 100, 140, 160], [100, 100, 140, 122], [100, 100, 190, 122]
SCORES = np.array([0.9, 0.7])


@pytest.mark.parametrize(
    ("boxes", "labels", "pieces", "kept"),
    [
        ((WHOLE, PART), (0, 0), True, 1),
        ((WHOLE, PART), (0, 0), False, 2),
        ((WHOLE, PART), (0, 1), True, 2),
        ((WHOLE, BESIDE), (0, 0), True, 2),
    ],
    ids=["part", "one look", "other label", "beside"],
)
def test_what_the_edge_of_a_piece_has_cut_goes_into_the_better_box_that_it_is_a_part_of(
    boxes: tuple[list[int], list[int]], labels: tuple[int, int], pieces: bool, kept: int
) -> None:
    found = Candidates(np.array(boxes, np.float64), SCORES, np.array(labels, np.int64))
    assert len(things.chosen(found, Infer(), str, pieces=pieces).scores) == kept
