"""What submit and plan take: declared once."""

from __future__ import annotations

import functools
import inspect
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

from imgflow_workflows.catalog.choice import Choice
from imgflow_workflows.submit import pipeline_file
from imgflow_workflows.submit.request import Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Pathlike = str | PathLike[str]
P = ParamSpec("P")
Owner = TypeVar("Owner")
Answer = TypeVar("Answer")


def submission(
    municipality: str,
    *,
    steps: str = "",
    pipeline: Pathlike | Mapping[str, Any] | Sequence[Any] | None = None,
    parameters: Mapping[str, object] | None = None,
    format: str = "",  # noqa: A002 - as the flag is called
    source: str = "",
    where: str = "",
    sample: int = 0,
    seed: int = 0,
    once: bool = False,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    follow_links: bool = False,
    checksum: bool = False,
    max_rejected: str | int = "",
    retry: Literal["", "failed", "rejected"] = "",
    run: str = "",
) -> Submission:
    """The flags of ``imgflow submit`` under their names, but for ``parameters``, which are those of ``--set``."""
    return Submission(
        municipality,
        source,
        _written(pipeline),
        steps,
        format,
        [f"{name}={value}" for name, value in (parameters or {}).items()],
        str(max_rejected),
        retry,
        run,
        Choice(where, sample, seed),
        once,
        include=tuple(include),
        exclude=tuple(exclude),
        follow=follow_links,
        checksum=checksum,
    )


def taking(
    declared: Callable[P, Submission],
) -> Callable[[Callable[[Owner, Submission], Answer]], Callable[Concatenate[Owner, P], Answer]]:
    """Give a method the arguments of ``declared``, for type checkers and for ``help`` alike; it gets what they make."""

    def wrap(method: Callable[[Owner, Submission], Answer]) -> Callable[Concatenate[Owner, P], Answer]:
        @functools.wraps(method)
        def call(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> Answer:
            return method(self, declared(*args, **kwargs))

        shown, own = inspect.signature(declared), inspect.signature(method)
        parameters = [next(iter(own.parameters.values())), *shown.parameters.values()]
        call.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # what inspect reads
        return call

    return wrap


def _written(
    pipeline: Pathlike | Mapping[str, Any] | Sequence[Any] | None,
) -> Path | pipeline_file.Written | None:
    if isinstance(pipeline, str | PathLike):
        return Path(pipeline)
    return pipeline_file.given(pipeline) if pipeline else None
