"""What a run would do, what that will take, and why: for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgflow_cli.output import Format, document, emit, fact, printable, table
from imgflow_steps.list.survey import survey
from imgflow_steps.pipeline.decode_plan import decode_plan
from imgflow_steps.records import keys
from imgflow_steps.records.costs import WAITING
from imgflow_steps.records.sharding import bytes_between
from imgflow_workflows.text import by_people, counted, duration, left_out, near_duplicates, size

SHORT = 0.1  # seconds, the least that is worth a number

if TYPE_CHECKING:
    from imgflow_steps.records.listing import Listing
    from imgflow_steps.records.prediction import Prediction, Range
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.submit.request import Request


def say_plan(store: Store, request: Request, output: Format | None) -> None:
    """A run's plan on standard output. Nothing is written to the store, and no image is read."""
    run = request.run
    with request.selected(store) as selected:
        listing, prediction = survey(store, run, selected.images if selected else None)
        counts = {"left_out": selected.duplicates, "unseen": selected.unknown} if selected and request.once else {}
    if output == "name":
        emit(run.digest)
    elif output in {"json", "yaml"}:
        document(_plan(store, run, listing, prediction) | counts, output)
        return
    words = _plan_in_words(store, run, listing) | took_in_words(prediction)
    if counts:
        words["Skipped"] = _left_out(**counts)
    for name, value in words.items():
        fact(name, value)
    if prediction.steps:
        emit("")
        _say_steps(prediction)


def _plan(store: Store, run: Run, listing: Listing, prediction: Prediction) -> dict[str, Any]:
    return {
        "municipality": run.municipality,
        "digest": run.digest,
        "store": store.url,
        "source": run.source,
        "engine": run.engine,
        "pipeline": run.pipeline.model_dump(mode="json"),
        "decode": decode_plan(run.pipeline).model_dump(),
        "listing": listing.model_dump(),
        "bytes_between_steps": bytes_between(decode_plan(run.pipeline)) * listing.todo,
        "prediction": {**prediction.model_dump(), "core": prediction.core.model_dump()},
    }


def _plan_in_words(store: Store, run: Run, listing: Listing) -> dict[str, str]:
    decode = decode_plan(run.pipeline)
    colour = "luma only" if decode.luma else "in colour"
    box = f"{decode.mode} {decode.width}x{decode.height}" if decode.width and decode.height else "every pixel"
    others = [d for d in store.folders(keys.results(run.municipality, "")[:-1]) if d != run.digest]
    why = [f"{listing.cached:,} done by earlier runs"] if listing.cached else []
    why += [f"{listing.processed:,} done by this run before"] if listing.processed else []
    why += [f"{listing.rejected:,} rejected before"] if listing.rejected else []
    why += [f"{counted(listing.absent, 'chosen image')} not there"] if listing.absent else []
    if others and not listing.cached:
        why.append(f"results of {counted(len(others), 'other pipeline')} do not count")
    given = by_people(listing)
    return {
        "Municipality": run.municipality,
        **({"By people": given} if given else {}),
        "Images": f"{listing.listed:,} listed{left_out(listing.unlisted)}, "
        f"{listing.todo:,} to do ({size(listing.bytes)})",
        "Why": "; ".join(why) or "no earlier run has done any of these",
        "Pipeline": " → ".join(run.pipeline.labels) + f" → {run.pipeline.output.format} ({run.digest})",
        "Decode": f"{box}, {colour}",
        "Shards": f"{listing.shards:,} of up to {counted(listing.shard_size, 'image')}" if listing.shards else "none",
        "Layout": f"{listing.layout} ({listing.why})" if listing.shards else "none",
        "Between steps": (
            f"about {size(bytes_between(decode) * listing.shard_size)} a shard"
            if listing.shards and listing.layout == "steps"
            else "nothing"
        ),
        "Results": f"{store.url.rstrip('/')}/{keys.results(run.municipality, run.digest)}",
    }


def _left_out(left_out: int, unseen: int) -> str:
    words = near_duplicates(left_out)
    return (
        f"{words}; {unseen:,} that no run has seen are still among the listed, submit looks at them"
        if unseen
        else words
    )


def took_in_words(prediction: Prediction) -> dict[str, str]:
    """How long it is going to take: all at once, and of one core."""
    if not prediction.images:
        return {"Time": "none, there is nothing to do"}
    if not prediction.core.seconds:
        return {"Time": f"not predicted: {prediction.pace}"}
    wall = prediction.wall
    said = _least if prediction.unknown else _about
    return {
        "Time": f"{said(wall)} after the listing, with {prediction.pace}"
        if wall
        else f"not predicted: {prediction.pace}",
        "Core time": f"{said(prediction.core)} of one core, for all images",
    }


def _about(one: Range) -> str:
    if one.high < SHORT:
        return f"less than {SHORT}s"
    return f"about {_time(one.seconds)} ({_between(one)})"


def _least(one: Range) -> str:
    """Where some steps are not known: what the others take, without a bound above."""
    return f"more than {_time(one.low)}, as some steps are not known,"


def _between(one: Range) -> str:
    low, high = _time(one.low), _time(one.high)
    return low if low == high else f"{low} to {high}"


def _time(seconds: float) -> str:
    return duration(seconds) if seconds == 0 or seconds >= SHORT else f"<{SHORT}s"


def _say_steps(prediction: Prediction) -> None:
    """A table of the steps. What all are known from is said once, as it would fill a terminal's lines."""
    header, rows = ["STEP", "TIME", "10 % TO 90 %", "KNOWN FROM"], _steps(prediction)
    bases = {row[-1] for row in rows}
    if len(bases) == 1:
        emit(f"Steps, as known from {printable(*bases)}")
        header, rows = header[:-1], [row[:-1] for row in rows]
    table(header, rows)


def _steps(prediction: Prediction) -> list[list[str]]:
    """A line for each step, known or not."""
    known = [
        [
            f"{one.step} (waits)" if one.step in WAITING else one.step,
            _time(one.seconds),
            _between(one),
            str(one.basis),
        ]
        for one in prediction.steps
    ]
    return known + [[label, "-", "-", "nothing: no run did the same to such pictures"] for label in prediction.unknown]
