"""Split cuts a picture into pieces that together are the picture, each under a name of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgflow_steps.contract.sample import Rejected, Sample
from imgflow_steps.split import STEP, Split, pieces

grids = st.builds(Split, columns=st.integers(1, 9), rows=st.integers(1, 9)) | st.builds(Split, tile=st.integers(1, 40))


def numbered(width: int, height: int) -> Sample:
    return Sample(np.arange(width * height).astype(np.uint8).reshape(height, width, 1), image="a.jpg")


@given(params=grids, width=st.integers(9, 60), height=st.integers(9, 60))
def test_pieces_laid_side_by_side_are_the_picture(params: Split, width: int, height: int) -> None:
    whole = numbered(width, height)
    cut = list(STEP.build(params)(whole))
    rows: dict[str, list[Sample]] = {}
    for piece in cut:
        rows.setdefault(piece.piece.partition("c")[0], []).append(piece)

    together = np.vstack([np.hstack([piece.pixels for piece in row]) for row in rows.values()])

    np.testing.assert_array_equal(together, whole.pixels)
    assert len({piece.piece for piece in cut}) == len(cut)
    assert pieces(params) in {0, len(cut)}


def test_pieces_of_a_grid_differ_by_a_pixel_at_most() -> None:
    sizes = {piece.pixels.shape for piece in STEP.build(Split(columns=3, rows=2))(numbered(10, 5))}
    assert sizes == {(h, w, 1) for h in (2, 3) for w in (3, 4)}


def test_tiles_are_square_but_for_the_last() -> None:
    sizes = [piece.pixels.shape[:2] for piece in STEP.build(Split(tile=4))(numbered(10, 4))]
    assert sizes == [(4, 4), (4, 4), (4, 2)]


def test_names_sort_as_the_pieces_lie() -> None:
    names = [piece.piece for piece in STEP.build(Split(columns=10, rows=1))(numbered(20, 2))]
    assert names == sorted(names)
    assert names[0] == "r1c01"


def test_a_piece_of_a_piece_is_named_after_both() -> None:
    [first, _] = STEP.build(Split())(numbered(20, 2))
    assert [piece.piece for piece in STEP.build(Split())(first)] == ["r1c1-r1c1", "r1c1-r1c2"]


def test_a_picture_with_fewer_pixels_than_pieces_is_rejected() -> None:
    with pytest.raises(Rejected) as verdict:
        list(STEP.build(Split(columns=3))(numbered(2, 9)))
    assert verdict.value.code == "too-small"


def test_what_is_known_of_a_sample_stays_with_its_pieces() -> None:
    sample = Sample(np.zeros((4, 4, 3), np.uint8), "v1", {"label": "roof"}, image="a.jpg")
    for piece in STEP.build(Split())(sample):
        assert (piece.found, piece.image) == ({"label": "roof"}, "a.jpg")
