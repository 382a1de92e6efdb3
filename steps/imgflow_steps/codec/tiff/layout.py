"""How the pixels of a TIFF lie in it: read from its tags, never from the name of a mode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps.codec.tiff import tags
from imgflow_steps.contract import foreign
from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgflow_steps.codec.tiff.tags import Directory

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, LAB: 3}  # samples, without alpha
GREY = frozenset({WHITE_IS_ZERO, BLACK_IS_ZERO})
OTHER_PHOTOMETRICS = {
    4: "a transparency mask", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "raw sensor data", 32844: "LogL",
    32845: "LogLuv", 34892: "linear raw sensor data", 51177: "a depth map",
}  # fmt: skip

NONE, LZW, OLD_JPEG, JPEG, DEFLATE, PACKBITS, THUNDERSCAN, OLD_DEFLATE, WEBP = 1, 5, 6, 7, 8, 32773, 32809, 32946, 50001
FAX = frozenset({2, 3, 4, 32771})  # for pictures of one bit
PACKED = frozenset({LZW, DEFLATE, OLD_DEFLATE, PACKBITS, 34925, 50000})  # bytes in, bytes out; LZMA and Zstandard too
PICTURES = frozenset({JPEG, WEBP})  # whose decoders give RGB
PILLOW_ALONE = frozenset({OLD_JPEG, THUNDERSCAN})  # for whole files only
UNPACKS_TO = {OLD_JPEG: 8, JPEG: 8, WEBP: 8, THUNDERSCAN: 4} | dict.fromkeys(FAX, 1)  # bits of a sample
OTHER_COMPRESSIONS = {
    32766: "NeXT", 33003: "JPEG 2000", 33004: "JPEG 2000",
    33005: "JPEG 2000", 34661: "JBIG", 34676: "SGI LogLuv", 34677: "SGI LogLuv", 34712: "JPEG 2000", 34887: "LERC",
    34892: "lossy JPEG of a DNG", 34933: "PNG", 34934: "JPEG XR", 22610: "JPEG XR", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip

NUMBERS = {2: "signed", 3: "float", 5: "complex", 6: "complex"}  # SampleFormat; 1 and 4 (not said) are counts
DEEPEST = 16
MOST_SAMPLES = 256
LONGEST = 1 << 31  # bytes of a strip or tile when it is unpacked
WORDS_OF_A_BYTE = 257  # from 0…255 to 0…65535
LARGEST = 1 << 24  # pixels of a tile that may be far larger than its picture
PREMULTIPLIED, STRAIGHT, COREL = 1, 2, 999  # ExtraSamples that are alpha; Corel Draw 10 writes a number of its own
ADVICE = "save it as RGB or grey with 8 or 16 bits a sample"


@dataclass(frozen=True)
class Layout:
    """Everything that tells which sample lies where, and what it means. Sizes are in pixels, as stored.

    A *chunk* is a strip or a tile; those of one plane follow each other, row after row.
    """

    directory: Directory
    width: int
    height: int
    bits: int
    samples: int
    extra: tuple[int, ...]
    photometric: int
    compression: int
    planar: bool
    predictor: bool
    backwards: bool  # FillOrder 2: the first pixel is in the lowest bit
    tiled: bool
    chunk_width: int
    chunk_height: int
    offsets: NDArray[np.int64]  # one of each chunk
    lengths: NDArray[np.int64]

    @property
    def kind(self) -> str:
        """What people call such a file."""
        return self.directory.kind

    @property
    def colours(self) -> int:
        """The number of samples before the extra ones."""
        return COLOURS[self.photometric]

    @cached_property
    def alpha(self) -> int | None:
        """Which sample is alpha. One more than the colours is, where nothing says what it is."""
        if not self.extra and self.samples == self.colours + 1 and self.photometric != CMYK:
            return self.colours
        found = (i for i, what in enumerate(self.extra) if what in (PREMULTIPLIED, STRAIGHT, COREL))
        return next((self.colours + i for i in found), None)

    @property
    def premultiplied(self) -> bool:
        """Whether colours were multiplied by alpha."""
        return self.alpha is not None and self.extra[self.alpha - self.colours :][:1] == (PREMULTIPLIED,)

    @property
    def subsampling(self) -> tuple[int, int]:
        """How many lumas share a chroma, side by side and above each other, where no JPEG decoder deals with it."""
        if self.photometric != YCBCR or self.compression in {OLD_JPEG, *PICTURES}:
            return 1, 1
        across, down = [*self.directory.whole(tags.YCBCR_SUBSAMPLING), 2, 2][:2]
        return across, down

    @property
    def across(self) -> int:
        """Chunks side by side."""
        return -(-self.width // self.chunk_width)

    @property
    def in_plane(self) -> int:
        """Chunks of one plane, or of all samples where they lie together."""
        return self.across * -(-self.height // self.chunk_height)

    @property
    def planes(self) -> int:
        """In how many planes samples lie apart."""
        return self.samples if self.planar else 1

    @property
    def together(self) -> int:
        """The number of samples that follow each other for one pixel."""
        return 1 if self.planar else self.samples

    @cached_property
    def sparse(self) -> NDArray[np.bool_]:
        """Which chunks were left out, as GDAL does with those that hold only zeros."""
        sparse: NDArray[np.bool_] = (self.offsets == 0) & (self.lengths == 0)
        return sparse

    @cached_property
    def color_map(self) -> NDArray[np.int64]:
        """(3, colours) of 16 bits. Where none needs more than 8, 8 are meant, as in libtiff. Raises Rejected."""
        colours = self.directory.array(tags.COLOR_MAP, 3 << self.bits)
        if len(colours) < 3 << self.bits:
            raise Rejected(
                "undecodable", f"the palette of this {self.kind} has {len(colours)} of {3 << self.bits} values"
            )
        return colours.reshape(3, -1) * (WORDS_OF_A_BYTE if colours.max() <= 255 else 1)  # noqa: PLR2004 - 8 bits

    def rows(self, index: int) -> int:
        """The rows that are stored in a chunk; only the last strip may have fewer than the others."""
        if self.tiled:
            return self.chunk_height
        return min(self.chunk_height, self.height - index % self.in_plane * self.chunk_height)


def read(directory: Directory) -> Layout:
    """The layout that tags describe.

    Raises Rejected: truncated, undecodable where tags contradict each other, unsupported-mode where it is none that
    has a defined white, unsupported-format of a raw photograph.
    """
    d, kind = directory, directory.kind
    if d.names(tags.DNG_VERSION):  # its first picture is a small one
        raise Rejected("unsupported-format", f"it is {foreign.said('dng')}")
    width, height = d.first(tags.WIDTH, 0), d.first(tags.HEIGHT, 0)
    if width < 1 or height < 1:
        raise Rejected("undecodable", f"this {kind} does not tell its width and height")
    compression = d.first(tags.COMPRESSION, NONE)
    samples = d.first(tags.SAMPLES, 3 if compression == OLD_JPEG else len(d.whole(tags.BITS)) or 1)
    guess = RGB if samples >= 3 else WHITE_IS_ZERO if compression in FAX else BLACK_IS_ZERO  # noqa: PLR2004 - as libtiff
    photometric = YCBCR if compression == OLD_JPEG else d.first(tags.PHOTOMETRIC, guess)
    bits = _bits(directory, samples)
    if photometric == YCBCR and samples == 1:  # what some cameras call their grey
        photometric = BLACK_IS_ZERO
    _check(directory, photometric, compression, samples, bits)
    tiled = d.names(tags.TILE_OFFSETS) or d.names(tags.TILE_WIDTH)
    chunk_width, chunk_height = width, min(d.first(tags.ROWS_PER_STRIP, height) or height, height)
    if tiled:
        chunk_width, chunk_height = d.first(tags.TILE_WIDTH, 0), d.first(tags.TILE_HEIGHT, 0)
    if chunk_width < 1 or chunk_height < 1:
        raise Rejected("undecodable", f"this {kind} does not tell the size of its tiles")
    if chunk_width * chunk_height > max(LARGEST, 4 * width * height):
        raise Rejected("undecodable", f"this {kind} has tiles of {chunk_width} x {chunk_height} pixels")
    offsets, lengths = _places(
        directory, tiled=tiled, most=samples * -(-width // chunk_width) * -(-height // chunk_height)
    )
    layout = Layout(
        directory=directory, width=width, height=height, bits=bits, samples=samples,
        extra=tuple(d.whole(tags.EXTRA_SAMPLES))[: max(0, samples - COLOURS[photometric])],
        photometric=photometric, compression=compression,
        planar=d.first(tags.PLANAR, 1) == 2 and samples > 1,  # noqa: PLR2004 - 1: together, 2: apart
        predictor=d.first(tags.PREDICTOR, 1) == 2, backwards=d.first(tags.FILL_ORDER, 1) == 2,  # noqa: PLR2004 - 1: no
        tiled=tiled, chunk_width=chunk_width, chunk_height=chunk_height, offsets=offsets, lengths=lengths,
    )  # fmt: skip
    _check_chunks(layout)
    return layout


def check_size(layout: Layout) -> None:
    """Raise Rejected("unsupported-mode") where a strip or a tile is more than may be unpacked at once."""
    size = layout.chunk_width * layout.chunk_height * layout.together * layout.bits // 8
    if size > LONGEST:
        kind, megabytes = layout.kind, f"{size >> 20} MB, and {LONGEST >> 20} are the most"
        raise Rejected("unsupported-mode", f"this {kind} has strips or tiles of {megabytes}; save it with smaller ones")


def _check_chunks(layout: Layout) -> None:
    kind, needed = layout.kind, layout.in_plane * layout.planes
    if layout.subsampling != (1, 1) and (
        not {*layout.subsampling} <= {1, 2, 4} or layout.planar or layout.bits != 8 or layout.samples != 3  # noqa: PLR2004
    ):
        raise Rejected("unsupported-mode", f"this {kind} has chroma of an unusual size; {ADVICE}")
    if layout.photometric == YCBCR and layout.planar and layout.compression in PICTURES:
        raise Rejected("unsupported-mode", f"this {kind} holds luma and chroma as JPEGs of their own; {ADVICE}")
    if layout.compression != OLD_JPEG and (len(layout.offsets) < needed or len(layout.lengths) < needed):
        found = min(len(layout.offsets), len(layout.lengths))
        raise Rejected("undecodable", f"this {kind} lists {found} strips or tiles where its size needs {needed}")


def _places(directory: Directory, *, tiled: bool, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where chunks begin, and how many bytes they have. Some writers put the tiles' into the strips' tags."""
    d = directory
    offsets = d.array(tags.TILE_OFFSETS if tiled and d.names(tags.TILE_OFFSETS) else tags.STRIP_OFFSETS, most)
    lengths = d.array(tags.TILE_BYTES if tiled and d.names(tags.TILE_BYTES) else tags.STRIP_BYTES, most)
    if not len(lengths):  # old writers think that decoders find the end
        lengths = np.maximum(0, d.size - offsets)
    if (offsets < 0).any() or (lengths < 0).any():
        raise Rejected("undecodable", f"this {d.kind} has strips or tiles in places that there are not")
    return offsets, lengths


def _bits(directory: Directory, samples: int) -> int:
    """Bits of a sample, which have to be the same for all."""
    bits = directory.whole(tags.BITS, max(samples, 1)) or [1]
    if len(set(bits)) > 1:
        widths = ", ".join(map(str, bits))
        raise Rejected("unsupported-mode", f"this {directory.kind} has samples of {widths} bits side by side; {ADVICE}")
    return bits[0]


def _check(directory: Directory, photometric: int, compression: int, samples: int, bits: int) -> None:
    what = _not_read(directory, photometric, compression, bits) or _not_seen(directory, photometric, samples)
    if what:
        raise Rejected("unsupported-mode", f"this {directory.kind} {what}")


def _not_read(directory: Directory, photometric: int, compression: int, bits: int) -> str:
    """Why nothing here unpacks such samples; empty where something does."""
    formats = directory.whole(tags.SAMPLE_FORMAT) or [1]
    odd = next((form for form in formats if form not in (1, 4)), None)
    if odd is not None:
        return f"has {bits}-bit {NUMBERS.get(odd, 'unknown')} samples: nothing says which value is white; {ADVICE}"
    if photometric not in COLOURS:
        other = OTHER_PHOTOMETRICS.get(photometric, f"of an unknown kind of colour ({photometric})")
        return f"is {other}, not a picture in grey, RGB or CMYK; {ADVICE}"
    if compression not in {NONE, *PILLOW_ALONE, *PICTURES, *PACKED, *FAX}:
        other = OTHER_COMPRESSIONS.get(compression, f"an unknown method ({compression})")
        return f"is compressed with {other}, which is not read; save it with LZW, Deflate or JPEG"
    if not 1 <= bits <= DEEPEST:
        return f"has {bits}-bit integer samples: nothing says which value is white; {ADVICE}"
    return _not_unpacked(directory, compression, bits)


def _not_unpacked(directory: Directory, compression: int, bits: int) -> str:
    """The same, of what a compression may hold."""
    if compression in PACKED and (predictor := directory.first(tags.PREDICTOR, 1)) not in (1, 2):
        return f"is stored with predictor {predictor}, which is not one of whole numbers; save it with LZW or Deflate"
    if bits != UNPACKS_TO.get(compression, bits):
        return f"has {bits}-bit samples in a compression that is read with {UNPACKS_TO[compression]} bits only"
    return ""


def _not_seen(directory: Directory, photometric: int, samples: int) -> str:
    """Why such samples are not a picture that can be shown; empty where they are."""
    colours = COLOURS[photometric]
    if not colours <= samples <= MOST_SAMPLES:
        return f"has {samples} samples a pixel, where its kind of colour needs {colours}"
    if photometric in GREY and samples > 2:  # noqa: PLR2004 - grey and alpha
        return f"has {samples} bands, and nothing says which are red, green and blue; {ADVICE}"
    if photometric == CMYK and directory.first(tags.INK_SET, 1) != 1:
        return f"has inks other than cyan, magenta, yellow and black; {ADVICE}"
    return ""
