"""why: one image's whole story, over all runs."""

from __future__ import annotations

import shlex
import tempfile
import webbrowser
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from imgflow_cli.flags import MunicipalityFlag, OutputFlag, takes_settings
from imgflow_cli.output import Voice, document, emit, fact, printable
from imgflow_cli.saved import check_savable, form_of, save
from imgflow_cli.which import ENDINGS, ImageArgument, one_image
from imgflow_steps.contract.sample import MANUAL
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import findings, keys
from imgflow_steps.records.boxes import of_source
from imgflow_steps.records.row import WITH_RESULT, Entry, Published, Row, Status
from imgflow_steps.report.figures import moment
from imgflow_steps.report.remedies import HINTS
from imgflow_steps.store import Store, StoreError
from imgflow_workflows.connect import open_engine
from imgflow_workflows.engines.attempts import ContainerLog
from imgflow_workflows.engines.attempts import attempts as archived
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.runs.history import Record, records
from imgflow_workflows.runs.story import Chapter, Story, tell
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.text import counted, size

LINES = 5  # of each container's log
ANOTHER = "give --boxes another file"


@takes_settings(*PLACES)
def why(
    resolved: Resolved,
    store: Store,
    image: ImageArgument,
    municipality: MunicipalityFlag = "",
    show: Annotated[bool, typer.Option("--open", help="Show its pictures, before and after.")] = False,
    boxes: Annotated[
        Path | None,
        typer.Option("--boxes", metavar="FILE", help="Write its newest picture with what was found outlined."),
    ] = None,
    output: OutputFlag = None,
) -> None:
    """Tell one image's story over all runs: listed, cached or computed and why, how it ended, what to do.

    A full key is found by binary search. An ending needs a scan of the newest listing of every municipality;
    --municipality limits it to one.
    """
    form = form_of(boxes) if boxes else ""
    check_savable(boxes, ANOTHER)
    known = [one for _, one in records(store) if isinstance(one, Record)]
    whose, name = one_image(store, known, image, municipality)
    story = tell(store, whose, name, known)
    tries = {chapter.record.run.id: _attempts(resolved, store, chapter) for chapter in story.chapters}
    after = _next(story, resolved.command)
    if output in {"json", "yaml"}:
        document(_document(store, story, tries, after), output)
    elif output == "name":
        emit(printable(story.image))
    else:
        _in_words(store, story, tries)
        if after:
            Voice().say(f"next: {after}")
    if boxes:
        _outline(store, story, boxes, form)
    if show:
        _open(store, story)


def _attempts(resolved: Resolved, store: Store, chapter: Chapter) -> list[ContainerLog]:
    """Containers that had the image's shard in a run; what is in the store outlives the cluster."""
    run = chapter.record.run
    engine = run.engine or resolved.settings.engine
    if chapter.shard is None or engine == "local":
        return []
    settings = resolved.settings.model_copy(update={"engine": engine})
    try:
        return open_engine(settings, store).attempts(run.id, chapter.shard, lines=LINES)
    except (StoreError, BadParametersError, ImgflowError):
        return archived(store, run.id, chapter.shard, lines=LINES)


def _next(story: Story, command: str) -> str:
    """What to type next, "" where nothing would help."""
    if not story.chapters and not keys.is_image(story.image):
        return ""
    if not story.chapters:
        return f"{command} submit --municipality {shlex.quote(story.municipality)}"
    last = story.chapters[0]
    run = last.record.run.id
    if last.verdict == "waiting":
        return f"{command} watch {run}"
    if story.replaced or last.verdict in {"failed", "interrupted"}:
        return f"{command} retry {run}"
    if last.verdict == "rejected":
        return f"{command} retry {run} --rejected"
    return f"{command} report {run} --open"


def _in_words(store: Store, story: Story, tries: dict[str, list[ContainerLog]]) -> None:
    fact("Image", story.image)
    fact("Municipality", story.municipality)
    fact("Now", _present(story))
    told = {chapter.record.run.id for chapter in story.chapters}
    for chapter in story.chapters:
        run = chapter.record.run
        emit(f"\n{run.id}  {moment(run.created)}  {chapter.verdict}".replace("\N{NO-BREAK SPACE}", " "))
        for name, value in _facts(store, chapter, told):
            fact(name, value)
        for attempt in tries[run.id]:
            fact("Container", _container(attempt))
            for line in attempt.log:
                emit(f"{'':<15}| {printable(line)}")


def _present(story: Story) -> str:
    if story.now is None:
        return f"no longer there, or out of reach: {story.place}"
    facts = f"version {story.now.version}, {size(story.now.bytes)}, in {story.place}"
    if story.replaced:
        return f"{facts}; no run has listed this version yet"
    if story.chapters:
        return facts
    if not keys.is_image(story.image):
        return f"{facts}; not listed by any run: {_unlisted(story.image)}"
    return f"{facts}; no run has listed it yet"


def _unlisted(name: str) -> str:
    """Why no run lists a file of this name."""
    if keys.has_image_name(name):
        return "it or a folder above it is hidden, as by a dot in front; --include lists it"
    return ENDINGS


def _facts(store: Store, chapter: Chapter, told: Container[str]) -> Iterator[tuple[str, str]]:
    """One run's part of the story, in the order in which things happened; what another of those ``told`` did is its."""
    record, entry, row = chapter.record, chapter.entry, chapter.row
    run, pipeline = record.run, record.run.pipeline
    yield "Why", "; ".join(chapter.why)
    elsewhere = row is not None and row.run != run.id and row.run in told
    if elsewhere and row and row.status is Status.CACHED:
        return
    yield "Listed", "; ".join(filter(None, [f"version {of_source(entry.version)}, {size(entry.bytes)}", entry.problem]))
    if entry.boxes is not None:
        yield "By people", _given(entry)
    source = f", source {run.source}" if run.source else ""
    yield "Digest", f"{record.digest}: {' → '.join(pipeline.labels)} → {pipeline.output.format}{source}"
    if chapter.shard is not None:
        shards = f" of {record.listing.shards}" if record.listing and record.listing.shards else ""
        yield "Shard", f"{chapter.shard:05d}{shards}, engine {run.engine}"
    if row is None:
        return
    if row.code:
        yield "Error", f"{row.code}: {row.message}"
        yield "Hint", HINTS.get(row.code, "")
    if elsewhere:
        return
    yield from _made(store, chapter, row)


def _made(store: Store, chapter: Chapter, row: Row) -> Iterator[tuple[str, str]]:
    """What a run made of the image."""
    if row.ms:
        yield "Steps", _steps(chapter, row)
    if row.width:
        yield "Picture", f"{row.width}x{row.height} {row.format}"
    for out in row.outputs:
        where = f"{store.url.rstrip('/')}/{out.key}" if out.key else "no picture, findings only"
        if told := "; ".join(_found(out)):
            yield "Boxes", told
        yield "Output", f"{where}, {out.width}x{out.height}" + (f", sha256 {out.sha256}" if out.sha256 else "")
    for side, key in zip(("before", "after"), row.thumbs, strict=False):
        yield "Thumbnail", f"{side}: {store.url.rstrip('/')}/{key}" if key else ""  # none of before where a step hides


def _given(entry: Entry) -> str:
    """What people said of the image when it was listed."""
    labels = ", ".join(sorted({box.label for box in entry.boxes or ()}))
    return f"{counted(len(entry.boxes), 'box')} to cover ({labels})" if entry.boxes else "nothing to cover in it"


def _found(out: Published) -> Iterator[str]:
    """Which finder saw what in a picture, and what of it is covered."""
    for name, value in findings.boxes(out.found).items():
        labels = Counter(box.label for box in value)
        told = ", ".join(f"{count} {label}" for label, count in sorted(labels.items())) or "none"
        yield f"{told} (by people)" if name == MANUAL else f"{told} ({name})"
    covered = out.found.get("redacted")
    if isinstance(covered, dict) and covered.keys() == {"count", "share"}:
        yield f"{covered['count']} covered, {100 * covered['share']:.1f} % of the picture"


def _steps(chapter: Chapter, row: Row) -> str:
    """Each step's time, and where it came to an end."""
    times = [f"{label} {ms:.1f} ms" for label, ms in row.ms.items()]
    if row.status in WITH_RESULT:
        return ", ".join(times)
    rest = [label for label in chapter.record.run.pipeline.labels if label not in row.ms]
    return ", ".join(times) + (f"; {row.status.value} before {rest[0]} was done" if rest else "")


def _container(attempt: ContainerLog) -> str:
    facts = [attempt.container, f"step {attempt.step}"]
    facts += [f"attempt {attempt.attempt}"] if attempt.attempt else []
    facts += [f"on node {attempt.node}"] if attempt.node else []
    facts += [attempt.outcome + (f": {attempt.message}" if attempt.message else "")] if attempt.outcome else []
    return ", ".join(facts)


def _document(store: Store, story: Story, tries: dict[str, list[ContainerLog]], after: str) -> dict[str, Any]:
    """What ``-o json`` says; keys are only ever added."""
    now = story.now
    return {
        "image": story.image,
        "municipality": story.municipality,
        "now": {"version": now.version, "bytes": now.bytes, "replaced": story.replaced} if now else None,
        "place": story.place,
        "store": store.url,
        "runs": [_chapter(chapter, tries[chapter.record.run.id]) for chapter in story.chapters],
        "next": after,
    }


def _chapter(chapter: Chapter, attempts: list[ContainerLog]) -> dict[str, Any]:
    record = chapter.record
    return {
        "run": record.run.id,
        "created": record.run.created,
        "verdict": chapter.verdict,
        "why": list(chapter.why),
        "digest": record.digest,
        "pipeline": record.run.pipeline.model_dump(mode="json"),
        "source": record.run.source,
        "engine": record.run.engine,
        "listed": chapter.entry.model_dump(),
        "shard": chapter.shard,
        "row": chapter.row.model_dump(mode="json") if chapter.row else None,
        "hint": HINTS.get(chapter.row.code, "") if chapter.row else "",
        "containers": [asdict(attempt) for attempt in attempts],
    }


def _outline(store: Store, story: Story, path: Path, form: str) -> None:
    """Write the picture with outlines; nothing is stored."""
    from imgflow_workflows.results.outlines import of_story, write  # noqa: PLC0415 - loads Pillow

    save(path, write(of_story(store, story), form), ANOTHER)
    Voice().say(f"what was found is outlined in {path}")


def _open(store: Store, story: Story) -> None:
    """Show the newest pictures there are: small ones of before and after, else the result itself.

    Where a run covers something in the image, none are shown that another run made of it without that.
    """
    rows = [chapter.row for chapter in story.showable if chapter.row]
    shown = next((row.thumbs or [o.key for o in row.outputs if o.key] for row in rows if row.thumbs or row.outputs), [])
    there = [key for key in shown if key and store.stat(key)]
    if not there:
        what = "no picture of it in which something is covered" if story.covered else "no picture of it"
        raise ImgflowError(f"there is {what} in the store", code=ExitCode.FAILED)
    folder = Path(tempfile.mkdtemp(prefix="imgflow-why-"))
    for key in there:
        path = folder / key.rpartition("/")[2]
        store.download(key, path)
        if not webbrowser.open(path.as_uri()):
            raise ImgflowError("no browser could be started", f"the picture is {path}", ExitCode.FAILED)
