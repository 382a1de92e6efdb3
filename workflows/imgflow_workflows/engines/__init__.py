"""Where a run runs: one interface, one module per engine (local, docker, argo)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.records.run import Run
    from imgflow_steps.records.summary import Phase
    from imgflow_workflows.engines.attempts import ContainerLog
    from imgflow_workflows.standing import Standing


class Engine(Protocol):
    """Starts runs and says where they stand; how far they are is read from the store, for every engine alike."""

    name: str
    detached: bool  # a submitted run goes on without the caller
    place: str  # where it is, such as a namespace; "" for this machine

    def submit(self, run: Run) -> None:
        """Start a run whose ``run.json`` is in the store. Returns at the end, or at once when detached."""

    def abandon(self) -> None:
        """Have ``submit``, which goes on in another thread, end soon: somebody else has taken its run over."""

    def phase(self, run: str) -> Phase | None:
        """Where the engine says the run stands; None when it knows no such run."""

    def standing(self, run: str, since: float) -> Standing | None:
        """The same of the run as it was submitted at ``since``, and what a person has to know about it."""

    def stop(self, run: str) -> None:
        """End a run early; what is published stays."""

    def delete(self, run: str) -> None:
        """Forget the engine's own objects of a run; results stay."""

    def logs(self, run: str, *, step: str = "", failed: bool = False, follow: bool = False) -> Iterator[str]:
        """Lines of the containers' logs."""

    def attempts(self, run: str, shard: int, *, lines: int) -> list[ContainerLog]:
        """The containers that had a shard, in order of time, with the last lines of their logs."""
