"""What a step is, what it is given and what it gives back: the contract every container keeps.

Only pydantic is imported here, so that declaring and reading steps costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from imgflow_steps.contract.sample import Apply

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


class BadParametersError(Exception):
    """Parameters, pipeline or job can never work; the message says which and what would."""


def unreadable(error: ValidationError) -> str:
    """The first thing that is wrong with a document of ours, in one line: which, where it is, and what."""
    fault = error.errors(include_url=False)[0]
    where = [*getattr(error, "__notes__", []), ".".join(map(str, fault["loc"]))]
    return ": ".join([*filter(None, where), fault["msg"]])


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


def at_home(_: Params) -> str:
    """It runs in its own container whatever the parameters."""
    return ""


@dataclass(frozen=True, slots=True)
class Step:
    """A step as it is declared in ``imgflow_steps/<name>/__init__.py``; the work is in its ``work.py``.

    ``version`` is raised by hand whenever the same parameters give other bytes. A pixel step says three
    things to the decode plan: ``drops_colour`` (it never looks at colour), ``keeps_luma`` (working on
    luma alone gives the luma of its result), ``keeps_size`` (a pixel of its result depends on that pixel
    only), and by ``target`` which box it needs at most.

    ``short`` is how people write it in one word: ``{width}x{height}`` reads ``scale:640x480``, beside what such a
    form sets besides; the first form that fits is taken. ``off`` are parameters that 0 switches off, which no short
    form says: ``scale:0%`` is a slip. ``true`` is what ``[name, true]`` sets. ``aliases`` are other names that people
    know the step by, never written, only read, each with what a short form sets besides under that name; parameters
    by name are read so too where they are those of the form. ``pieces`` is how many results a sample gives, 0 where
    that depends on its size; ``finds`` says that it looks for something and leaves the pixels as they are; ``hides``
    that it covers what nobody may see: then nothing that shows an image before it is ever written; ``idle`` that
    with these parameters it changes nothing; ``away`` names the container of all steps that these parameters need.
    """

    name: str
    params: type[Params]
    version: int
    role: Role = Role.PIXELS
    container: str = ""  # shared with other steps; "": its own
    aliases: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    short: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    true: Mapping[str, Any] = field(default_factory=dict)
    off: tuple[str, ...] = ()
    drops_colour: bool = False
    keeps_luma: Callable[[Any], bool] = never
    keeps_size: bool = False
    target: Callable[[Any], Target | None] = no_target
    pieces: Callable[[Any], int] = one_piece
    finds: bool = False
    hides: bool = False
    idle: Callable[[Any], bool] = never
    away: Callable[[Any], str] = at_home

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
        module = import_module(f"imgflow_steps.{self.name}.work")
        apply: Apply = module.build(params)
        return apply
