"""What a report says of the run as a whole: each section a pure function of the facts."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from imgflow_steps.pipeline.decode_plan import decode_plan
from imgflow_steps.pipeline.registry import STEPS
from imgflow_steps.records import keys
from imgflow_steps.records.admission import skipped_in_words
from imgflow_steps.report import charts, pages
from imgflow_steps.report.figures import NONE, box, count, duration, moment, number, size
from imgflow_steps.report.markup import Content, Markup, lines, prose, section, tag

if TYPE_CHECKING:
    from typing import Any

    from imgflow_steps.contract.options import Encoding
    from imgflow_steps.pipeline.model import Pipeline, StepCall
    from imgflow_steps.report.data import Facts

# What each way to end means, said once.
MEANING = {
    "processed": "computed in this run",
    "cached": "known from an earlier run",
    "rejected": "the image is at fault",
    "failed": "the platform is at fault",
}
WAITING = "not computed yet"  # of a run without results
WHOLE = "images in all"


def masthead(facts: Facts) -> Markup:
    """Which municipality, which run, how it ended and when."""
    summary = facts.summary
    took = duration(max(0.0, summary.worked)) if summary.started else NONE
    attempts = f" in {summary.attempts} attempts" if summary.attempts > 1 else ""
    return tag(
        "header",
        tag("p", "imgflow report", class_="brand"),
        tag("h1", tag("bdi", facts.run.municipality)),
        tag(
            "p",
            tag("span", summary.status.value, class_=f"badge {summary.status.value}"),
            tag("span", "run ", tag("code", facts.run.id)),
            tag("span", moment(summary.started or summary.ended)),
            tag("span", f"{'so far' if facts.unfinished else 'took'} {took}{attempts}"),
            tag("span", f"engine {facts.run.engine}") if facts.run.engine else None,
            tag("span", " → ".join(facts.run.pipeline.labels)),
            class_="facts",
        ),
        tag("p", prose(summary.message), class_="message") if summary.message else None,
        tag("p", prose(_unfinished(facts)), class_="message so-far") if facts.unfinished else None,
    )


def _unfinished(facts: Facts) -> str:
    """What the page of a run without results is about."""
    run, now = facts.run.id, moment(facts.summary.ended, seconds=True)
    return (
        f"This run is not finished. The page says how far it was at {now}; `imgflow get {run}` says how it is now. "
        f"Findings, times and pictures are those of the {count(facts.account.counts.listed, 'image')} that this "
        "attempt has computed so far. Near-duplicates, sections and the list of all images come with the results."
    )


def counts(facts: Facts) -> Markup:
    """Listed is the sum of the four ways to end."""
    total = facts.summary.counts
    meaning = {**MEANING, "waiting": WAITING} if facts.unfinished else MEANING
    parts = {name: int(getattr(total, name)) for name in MEANING}
    parts |= {"waiting": max(0, total.open)} if facts.unfinished else {}
    of = WHOLE if facts.unfinished else f"{size(facts.account.bytes)} of images"
    terms: list[Content] = [_term("listed", total.listed, of)]
    for i, (name, n) in enumerate(parts.items()):
        terms.append(tag("span", "+" if i else "=", class_="sign"))
        terms.append(_term(name, n, meaning[name]))
    account, unlisted = facts.account, facts.summary.unlisted
    asides = [
        f"Computed in this run: {count(account.images.n, 'image')} in {duration(account.seconds)}, "
        f"{number(account.images.n / account.seconds)} images per second."
        if account.seconds
        else None,
        f"Skipped: {skipped_in_words(unlisted)}." if unlisted else None,
    ]
    return section(
        "sum",
        "Every image, accounted for",
        tag("div", terms, class_="sum"),
        charts.stack(parts),
        tag("p", " ".join(filter(None, asides)), class_="quiet"),
    )


def _term(name: str, n: int, meaning: str) -> Markup:
    return tag(
        "div",
        tag("span", count(n), class_="amount"),
        tag("span", name, class_="word"),
        tag("span", meaning, class_="quiet"),
        class_=f"term {name}{'' if n else ' none'}",
    )


def empty(facts: Facts) -> Markup:
    """Nothing was listed: why that may be, and what to do."""
    run, unlisted = facts.run, facts.summary.unlisted
    place = run.source or keys.images(run.municipality)
    quoted = shlex.quote(run.municipality)
    command = f"imgflow ingest DIRECTORY --municipality {quoted}"
    advice: Content = (
        "Check the address and that it ends where the photographs are."
        if run.source
        else ["Bring photographs there with ", tag("code", command), ", then submit again."]
    )
    beside = f" Skipped: {skipped_in_words(unlisted)}." if unlisted else ""
    return section(
        "empty",
        "There is nothing here yet",
        tag("p", "There are no images in ", tag("code", place), ".", beside, " ", advice),
    )


def pipeline(facts: Facts) -> Markup:
    """What was asked for, in words."""
    run, listing = facts.run, facts.listing
    steps = [_step(label, call) for label, call in zip(run.pipeline.labels, run.pipeline.steps, strict=True)]
    details: dict[str, Content] = {
        "Source": tag("code", run.source or keys.images(run.municipality)),
        "Read": ", ".join(f"{count(n)} {name}" for name, n in facts.account.formats.words.most_common()) or NONE,
        "Decoded": _decoded(run.pipeline),
        "Written": _written(run.pipeline.output),
        "Layout": f"{listing.layout}: {listing.why}" if listing.why else listing.layout,
        "Shards": f"{count(listing.shards)} of up to {count(listing.shard_size, 'image')}"
        if listing.shards
        else "none",
        "Digest": tag("code", run.digest),
        "imgflow": run.version or NONE,
    }
    chain = tag("ol", _end("list"), steps, _end("collect"), class_="steps")
    return section("pipeline", "Pipeline", chain, lines(details))


def _end(name: str) -> Markup:
    return tag("li", tag("strong", name), tag("span", STEPS[name].summary, class_="quiet"), class_="end")


def _step(label: str, call: StepCall) -> Markup:
    chosen = call.params.model_dump(mode="json", exclude_defaults=True)
    chips = [
        tag("span", f"{name} {_value(value)}", class_="chip chosen" if name in chosen else "chip")
        for name, value in call.params.model_dump(mode="json").items()
        if value not in ("", [], 0, None) or name in chosen
    ]
    summary = tag("span", call.step.summary, class_="quiet")
    return tag("li", tag("strong", label), summary, tag("span", chips, class_="chips") if chips else None)


def _value(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else pages.spell(value)


def _decoded(pipeline: Pipeline) -> str:
    plan = decode_plan(pipeline)
    pixels = f"no more pixels than {box(plan.width, plan.height)} needs" if plan.width else "every pixel"
    return f"{pixels}, brightness only" if plan.luma else pixels


def _written(output: Encoding) -> str:
    if output.format == "none":
        return "findings only, no pictures"
    return "png" if output.format == "png" else f"{output.format}, quality {output.quality}"


def files(facts: Facts) -> Markup:
    """Where everything is."""
    run, listed = facts.run.id, facts.summary.counts.listed
    link = tag("p", tag("a", f"All {count(listed, 'image')}, page by page →", href=pages.INDEX), class_="more")
    places: dict[str, Content] = {
        "Every verdict": tag("code", keys.results_jsonl(run)),
        "As a table": tag("code", keys.results_csv(run)),
        "Pictures": tag("code", f"{keys.results(facts.run.municipality, facts.run.digest)}images/"),
    }
    note = (
        "In results.csv a cell that a spreadsheet would run as a formula is preceded by an apostrophe; "
        "results.jsonl has every name as it is."
    )
    return section("files", "All images", link if listed else None, lines(places), tag("p", note, class_="quiet"))
