"""What a step is, what it is given and what it gives back: the contract every container keeps.

Only pydantic is imported here, so that declaring and reading steps costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


class Exit(IntEnum):
    """How a container ends; the Workflow's retry strategy is rendered from this table.

    64 is never used: Argo's own executor ends with it.
    """

    DONE = 0  # every image of the shard has its row; rejected images do not change that
    IMAGES_FAILED = 1  # collect only, after its report is up
    TOO_MANY_REJECTED = 4  # collect only, after its report is up
    TEMPORARY = 75  # the platform failed; try again
    REFUSED = 77  # the store is there and says no; once more, in a new pod: credentials may be new
    BAD_PARAMETERS = 78  # nothing a retry would change


class Rejected(Exception):  # noqa: N818 - a verdict on an image, not a fault of the program
    """The image itself is at fault; it is put aside with a code and never retried by itself."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BadParametersError(Exception):
    """Parameters, pipeline or job can never work; the message says which and what would."""


def unreadable(error: ValidationError) -> str:
    """The first thing that is wrong with a document of ours, in one line: where it is, and what."""
    fault = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


class Params(BaseModel):
    """Parameters of a step: frozen, unknown names refused, every field with default, bounds and unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileField:
    """Marks a parameter that names a file: a path for the user, a store key in a run, a path for the step."""


File = Annotated[str, FileField()]


def file_fields(params: Params) -> list[str]:
    """Names of the parameters that name a file and are set."""
    fields = type(params).model_fields
    return [
        name
        for name, info in fields.items()
        if any(isinstance(m, FileField) for m in info.metadata) and getattr(params, name)
    ]


Extent = tuple[float, float, float, float]  # left, upper, right, lower, in pixels


@dataclass(frozen=True, slots=True)
class Sample:
    """One decoded picture on its way through the steps.

    ``pixels`` is uint8 of shape (height, width, channels); 1, 2, 3 or 4 channels are L, LA, RGB or RGBA
    (alpha not premultiplied, colour in sRGB). ``piece`` is "" for the whole image, else ``[a-z0-9]+``
    joined by ``-`` for what a step cut out of it. ``found`` is what models said, ready for JSON. ``extent`` is
    the part of the pixels that is picture, where a decoder that divided its sides filled up the last pixel;
    None is all of them. Only steps up to the one whose ``target`` the decode plan obeys ever meet one.
    ``image`` is the key of the image below its source: the same on every machine and in every shard,
    which is all that a step may rely on.
    """

    pixels: Pixels
    piece: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)
    extent: Extent | None = None
    image: str = ""

    def cut(self, name: str, pixels: Pixels) -> Sample:
        """One of several pieces that a step makes of this one.

        A step that calls this for one of its results calls it for all of them, each with a ``name`` of its own
        of ``[a-z0-9]+``: so no two pieces of an image are ever called the same, whatever steps follow each other.
        """
        return replace(self, pixels=pixels, piece=f"{self.piece}-{name}" if self.piece else name)


Apply = Callable[[Sample], Iterable[Sample]]


@dataclass(frozen=True, slots=True)
class Target:
    """The box that a step brings an image into: pixels, and how (fit inside, cover, or exactly)."""

    width: int
    height: int
    mode: Literal["fit", "cover", "exact"] = "fit"


class Role(StrEnum):
    """Where in a pipeline a step stands."""

    FIRST = "first"  # list
    PIXELS = "pixels"  # any number, any order
    LAST = "last"  # collect


def no_target(_: Params) -> Target | None:
    """The step needs every pixel it can get."""
    return None


def always(_: Params) -> bool:
    """It is so whatever the parameters."""
    return True


def never(_: Params) -> bool:
    """It is not so whatever the parameters."""
    return False


def one_piece(_: Params) -> int:
    """One result for each sample."""
    return 1


@dataclass(frozen=True, slots=True)
class Step:
    """A step as it is declared in ``imgflow_steps/<name>/__init__.py``; the work is in its ``run.py``.

    ``version`` is raised by hand whenever the same parameters give other bytes. A pixel step says three
    things to the decode plan: ``drops_colour`` (it never looks at colour), ``keeps_luma`` (working on
    luma alone gives the luma of its result), ``keeps_size`` (a pixel of its result depends on that pixel
    only), and by ``target`` which box it needs at most.

    ``short`` is how people write it in one word: ``{width}x{height}`` reads ``scale:640x480``, beside what such a
    form sets besides; the first form that fits is taken. ``off`` are parameters that 0 switches off, which no short
    form says: ``scale:0%`` is a slip. ``pieces`` is how many results a sample gives, 0 where that
    depends on its size; ``finds`` says that it looks for something and leaves the pixels as they are; ``idle`` that
    with these parameters it changes nothing.
    """

    name: str
    params: type[Params]
    version: int
    role: Role = Role.PIXELS
    container: str = ""  # shared with other steps; "": its own
    aliases: tuple[str, ...] = ()  # other names that people know it by; never written, only read
    short: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    off: tuple[str, ...] = ()
    drops_colour: bool = False
    keeps_luma: Callable[[Any], bool] = never
    keeps_size: bool = False
    target: Callable[[Any], Target | None] = no_target
    pieces: Callable[[Any], int] = one_piece
    finds: bool = False
    idle: Callable[[Any], bool] = never

    @property
    def summary(self) -> str:
        """What the step does, in one line."""
        return (self.params.__doc__ or "").strip().splitlines()[0]

    @property
    def home(self) -> str:
        """The container it runs in."""
        return self.container or self.name

    def build(self, params: Params) -> Apply:
        """Open what the step needs (a model, say) and return the function over samples."""
        module = import_module(f"imgflow_steps.{self.name}.run")
        apply: Apply = module.build(params)
        return apply


class Entry(BaseModel):
    """One image that was listed: a line of a shard's manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str  # its key below the source's prefix
    version: str  # ETag on S3, size and mtime in a directory
    bytes: int = 0
    problem: str = ""  # why this key can never be processed, when it cannot
    sampled: bool = False  # show it in the report: thumbnails are written for it


class Status(StrEnum):
    """How a listed image ended. In a row *cached* never appears: collect derives it from ``Row.run``."""

    PROCESSED = "processed"
    CACHED = "cached"
    REJECTED = "rejected"
    FAILED = "failed"


class Output(BaseModel):
    """One published result of an image; ``key`` is "" when the pipeline publishes no pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    sha256: str
    width: int
    height: int
    piece: str = ""
    found: dict[str, Any] = Field(default_factory=dict)


class Row(BaseModel):
    """What became of one listed image. Times in milliseconds, sizes in pixels and bytes."""

    model_config = ConfigDict(extra="forbid")

    image: str
    version: str
    bytes: int = 0
    status: Status = Status.PROCESSED
    code: str = ""
    message: str = ""
    run: str = ""
    shard: int = 0
    ended: float = 0.0  # seconds since the epoch
    ms: dict[str, float] = Field(default_factory=dict)
    width: int = 0
    height: int = 0
    format: str = ""
    dhash: str = ""  # what the picture looks like, see ``imgflow_steps.dhash``
    duplicate_of: str = ""  # of a verdict: the image that this one looks like; collect alone finds out
    outputs: list[Output] = Field(default_factory=list)
    thumbs: list[str] = Field(default_factory=list)  # store keys: before, after


class Job(BaseModel):
    """One piece of work for one container, as JSON on its standard input or as flags.

    ``step`` is ``list``, ``collect``, ``fused`` or the pixel step at ``position`` (counted from 1).
    ``store`` is a URL; empty means the one in the environment. ``input`` and ``output`` are paths of
    the shard between steps where something else carries it; empty means the store's scratch area.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    run: str
    position: int = Field(default=0, ge=0)
    shard: int = Field(default=0, ge=0)
    store: str = ""
    input: str = ""
    output: str = ""
    workers: int = Field(default=1, ge=1, description="Processes that compute at the same time.")


class Counts(BaseModel):
    """How many images ended how; ``listed`` is always the sum of the other four when a run is whole."""

    listed: int = 0
    processed: int = 0
    cached: int = 0
    rejected: int = 0
    failed: int = 0

    @property
    def add_up(self) -> bool:
        """Whether nothing was lost."""
        return self.listed == self.processed + self.cached + self.rejected + self.failed


class Result(BaseModel):
    """What a container says at its end, as one JSON document on its standard output."""

    job: Job
    exit: int = 0
    error: str = ""
    counts: Counts = Field(default_factory=Counts)
    shards: int = 0
    layout: str = ""
