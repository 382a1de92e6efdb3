"""How a run stands or ended, said for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_cli.output import Format, document, emit, printable
from imgflow_steps import keys
from imgflow_workflows import runs
from imgflow_workflows.faults import ExitCode
from imgflow_workflows.words import added_up, counted, duration, near_duplicates

if TYPE_CHECKING:
    from imgflow_steps.store import Store


def say_how(store: Store, known: runs.Known, form: Format | None) -> None:
    """A run's state on standard output, for people or programs."""
    if form == "name":
        emit(known.run.id)
    elif form in {"json", "yaml"}:
        document(runs.document(store, known), form)
    else:
        _in_words(store, known, wide=form == "wide")


def _in_words(store: Store, known: runs.Known, *, wide: bool) -> None:
    run, summary, counts = known.run, known.progress.summary, known.counts
    ended = f" in {duration(summary.ended - summary.started)}" if summary and summary.started else ""
    absent = known.progress.listing.absent if known.progress.listing else 0
    empty = summary is not None and not (counts.listed or absent)
    place = run.source or f"{store.url.rstrip('/')}/{run.prefix}"
    facts = {
        "Run": run.id,
        "Municipality": run.municipality,
        "Status": known.status.value + ended + (f": {summary.message}" if summary and summary.message else ""),
        "Images": added_up(counts, ended=summary is not None) + (f"; there is none in {place}" if empty else ""),
        "Not there": f"{counted(absent, 'chosen image')}, which the dataset does not hold" if absent else "",
        "Duplicates": _alike(summary.duplicates, summary.duplicate_groups) if summary else "",
        "Left out": near_duplicates(run.left_out) if run.left_out else "",
        "Results": f"{store.url.rstrip('/')}/{keys.results(run.municipality, run.digest)}",
        "Report": summary.report if summary else "",
    }
    if wide:
        listing = known.progress.listing
        facts |= {
            "Pipeline": " → ".join(run.pipeline.labels) + f" ({run.digest})",
            "Source": run.source or "the municipality's dataset",
            "Engine": run.engine,
            "Layout": f"{listing.layout}: {listing.shards} shards, {listing.why}" if listing else "",
            "Version": run.version,
        }
    for name, value in facts.items():
        if value:
            emit(f"{name:<13} {printable(str(value))}")


def _alike(duplicates: int, groups: int) -> str:
    look = "image looks" if duplicates == 1 else "images look"
    return f"{duplicates:,} {look} like another one: {groups:,} group{'' if groups == 1 else 's'}" if duplicates else ""


def next_commands(known: runs.Known, command: str) -> str:
    """What to type next."""
    run_id = known.run.id
    if known.status in runs.OPEN:
        return f"next: {command} watch {run_id}\n      {command} logs {run_id}\n      {command} stop {run_id}"
    return f"next: {command} report {run_id} --open\n      {command} get {run_id} -o json"


def exit_code(known: runs.Known) -> ExitCode:
    """How a command ends that waited for this run."""
    if known.progress.summary:
        return ExitCode(known.progress.summary.exit)
    return ExitCode.DONE if known.status in runs.OPEN else ExitCode.FAILED
