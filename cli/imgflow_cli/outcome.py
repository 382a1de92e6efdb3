"""How a run stands or ended, said for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imgflow_cli.output import Format, Voice, document, emit, fact, item, printable
from imgflow_steps.records import keys
from imgflow_steps.records.summary import Phase
from imgflow_workflows.errors import ExitCode
from imgflow_workflows.runs import state
from imgflow_workflows.standing import OPEN
from imgflow_workflows.text import added_up, by_people, counted, duration, left_out, near_duplicates

if TYPE_CHECKING:
    from imgflow_steps.records.summary import Summary
    from imgflow_steps.store import Store
    from imgflow_workflows.runs.history import Record


def say_unfinished(record: Record, command: str, voice: Voice) -> None:
    """A note where the run whose results are read has not all of them."""
    if not record.whole:
        run = record.run
        voice.say(f"note: run {run.id} of {printable(run.municipality)} has not finished;")
        voice.say(f"      some images have no result yet: `{command} get {run.id}`")


def say_how(store: Store, known: state.RunState, form: Format | None) -> None:
    """A run's state on standard output, for people or programs."""
    if form == "name":
        emit(known.run.id)
    elif form in {"json", "yaml"}:
        document(state.document(store, known), form)
    else:
        _in_words(store, known, wide=form == "wide")


def _in_words(store: Store, known: state.RunState, *, wide: bool) -> None:
    run, summary, counts = known.run, known.progress.summary, known.counts
    took = _took(summary) if summary and summary.started else ""
    absent = known.progress.listing.absent if known.progress.listing else 0
    empty = summary is not None and not (counts.listed or absent)
    others = known.progress.listing.unlisted if known.progress.listing else {}
    place = run.source or f"{store.url.rstrip('/')}/{run.prefix}"
    facts = {
        "Run": run.id,
        "Municipality": run.municipality,
        "Status": _status(known, took) + (f": {known.message}" if known.message else ""),
        "Images": added_up(counts, ended=summary is not None)
        + left_out(others)
        + (f"; there is none in {place}" if empty else ""),
        "Not there": f"{counted(absent, 'chosen image')}, which the dataset does not hold" if absent else "",
        "By people": by_people(known.progress.listing),
        "Duplicates": _alike(summary.duplicates, summary.duplicate_groups) if summary else "",
        "Skipped": near_duplicates(run.left_out) if run.left_out else "",
        "Results": f"{store.url.rstrip('/')}/{keys.results(run.municipality, run.digest)}",
        "Report": summary.report if summary else "",
    }
    if wide:
        listing = known.progress.listing
        facts |= {
            "Pipeline": " → ".join(run.pipeline.labels) + f" ({run.digest})",
            "Source": run.source or "the municipality's dataset",
            "Engine": run.engine,
            "Layout": f"{listing.layout}: {counted(listing.shards, 'shard')}, {listing.why}" if listing else "",
            "Version": run.version,
        }
    for name, value in facts.items():
        if value:
            fact(name, str(value))
    for line in _without_result(known):
        item(line)


def _took(summary: Summary) -> str:
    attempts = f", {summary.attempts} attempts" if summary.attempts > 1 else ""
    return f" in {duration(summary.worked or summary.ended - summary.started)}{attempts}"


def _status(known: state.RunState, took: str) -> str:
    """Where it stands; a run that succeeded has not therefore a result for every image."""
    rejected = known.counts.rejected if known.status is Phase.SUCCEEDED else 0
    return f"{known.status.value}{took}" + (f", {rejected:,} rejected" if rejected else "")


def _without_result(known: state.RunState) -> Iterator[str]:
    """Some images that have no result, each with its reason, and how many more there are."""
    summary = known.progress.summary
    if summary is None or not summary.examples:
        return
    for one in summary.examples:
        yield f"{one.status.value} {one.image}: {one.code}: {one.message}"
    more = known.counts.rejected + known.counts.failed - len(summary.examples)
    if more > 0:
        yield f"and {more:,} more; the report has them all by their reasons"


def _alike(duplicates: int, groups: int) -> str:
    look = "image looks" if duplicates == 1 else "images look"
    return f"{duplicates:,} {look} like another one: {groups:,} group{'' if groups == 1 else 's'}" if duplicates else ""


def next_commands(known: state.RunState, command: str) -> str:
    """What to type next."""
    run_id = known.run.id
    if known.status in OPEN:
        return f"next: {command} watch {run_id}\n      {command} logs {run_id}\n      {command} stop {run_id}"
    return f"next: {command} report {run_id} --open\n      {command} get {run_id} -o json"


def exit_code(known: state.RunState) -> ExitCode:
    """How a command ends that waited for this run."""
    if known.progress.summary:
        return ExitCode(known.progress.summary.exit)
    return ExitCode.DONE if known.status in OPEN else ExitCode.FAILED
