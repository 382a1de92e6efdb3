"""prune: what a store could do without."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgflow_cli.flags import MunicipalityFlag, OutputFlag, QuietFlag, takes_settings
from imgflow_cli.output import Voice, document, emit, printable, table
from imgflow_cli.progress import status_line
from imgflow_steps.pipeline.notation import nearest
from imgflow_steps.records import keys
from imgflow_steps.store import Store
from imgflow_workflows.connect import open_argo, where
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.retention.deletion import Deletion
from imgflow_workflows.retention.plan import UNCOVERING, Item, Rules, RunIndex, What, age, plan, run_index
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.text import counted, duration, size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgflow_workflows.argo.schedule import Schedule


@takes_settings(*PLACES)
def prune(
    resolved: Resolved,
    store: Store,
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Only what no run has used for so long, such as 12h, 30d or 8w.")
    ] = "30d",
    keep: Annotated[
        int, typer.Option(min=1, help="How many digests of each municipality stay however old, the newest first.")
    ] = 2,
    what: Annotated[
        str, typer.Option(metavar="KIND,…", help=f"Only these kinds: {', '.join(What)}.  [default: all]")
    ] = "",
    municipality: MunicipalityFlag = "",
    unredacted: Annotated[
        bool,
        typer.Option(
            "--unredacted",
            help="Only what pipelines without redact made of images that another one covers, however young.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be deleted (the default without --yes).")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete it.")] = False,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Show what old results, runs and leftovers cost in the store, and delete them with --yes.

    Never deleted are photographs, what an unfinished run or a schedule of this namespace needs, and a municipality's
    newest results. Runs may begin meanwhile: what they need stays. -o wide also shows what stays, and why.
    """
    if dry_run and yes:
        raise ImgflowError("--dry-run deletes nothing and --yes deletes", "give one of them")
    kinds = _kinds(what)
    if unredacted and what and not kinds <= UNCOVERING:
        there = ", ".join(sorted(UNCOVERING))
        raise ImgflowError(f"--what {what}: --unredacted is about {there}", "leave out --what")
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    runs = run_index(store)
    rules = Rules(
        now=time.time(),
        older=_age(older_than),
        keep=keep,
        what=kinds & UNCOVERING if unredacted else kinds,
        unredacted=unredacted,
        municipality=keys.decode(keys.encode(municipality)) if municipality else "",
        schedules=_schedules(resolved, store, runs),
    )
    items = plan(store, runs, rules)
    kept = _delete(store, runs, items, voice) if yes else {}
    _say(store, items, kept, rules, output, deleted=yes)
    _next(items, kept, voice, deleted=yes, wide=output == "wide")


def _age(text: str) -> float:
    try:
        return age(text)
    except ValueError:
        raise ImgflowError(f"--older-than {text}: give a number and h, d or w, such as 30d") from None


def _kinds(text: str) -> frozenset[What]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in list(What):
            raise ImgflowError(
                f"--what {text}: there is no {name!r}; there are: {', '.join(What)}", nearest(name, list(What))
            )
    return frozenset(map(What, names)) or frozenset(What)


def _schedules(resolved: Resolved, store: Store, runs: RunIndex) -> frozenset[Schedule] | None:
    """What the cluster starts by itself; None where a cluster uses the store and these settings do not lead to it."""
    if resolved.settings.engine == "argo":
        return open_argo(resolved.settings, store).schedules()
    return None if any(one.run.engine == "argo" for one in runs.records.values()) else frozenset()


def _delete(store: Store, runs: RunIndex, items: Sequence[Item], voice: Voice) -> Mapping[str, str]:
    """What stayed after all, by name, with the reason. Raises ImgflowError when interrupted."""
    try:
        with status_line(voice) as show:
            deletion = Deletion(store, runs, tell=lambda objects: show(f"{counted(objects, 'object')} deleted"))
            for item in items:
                if not item.keep:
                    deletion.delete(item)
    except KeyboardInterrupt:
        raise ImgflowError(
            f"prune was interrupted; {store.url} is whole, and what was deleted is gone",
            "run the same command again to resume",
            ExitCode.INTERRUPTED,
        ) from None
    return deletion.kept


def _say(
    store: Store, items: Sequence[Item], kept: Mapping[str, str], rules: Rules, output: str | None, *, deleted: bool
) -> None:
    going = [item for item in items if not item.keep and item.name not in kept]
    if output in {"json", "yaml"}:
        document(_document(store, items, kept, deleted=deleted), output)
    elif output == "name":
        for item in going:
            emit(printable(item.prefix))
    elif output == "wide":
        rows = [[*_row(item, rules.now), kept.get(item.name) or item.keep or "goes"] for item in items]
        table(["KIND", "NAME", "OBJECTS", "SIZE", "UNUSED", "LAST RUN", "WHY"], rows)
    elif going:
        table(["KIND", "NAME", "OBJECTS", "SIZE", "UNUSED", "LAST RUN"], [_row(item, rules.now) for item in going])


def _row(item: Item, now: float) -> list[object]:
    cost = ["-", "-"] if item.keep and not item.objects else [f"{item.objects:,}", size(item.bytes)]
    unused = duration(now - item.used) if item.used else "-"
    return [item.what, item.name, *cost, unused, item.runs[0] if item.runs else "-"]


def _next(items: Sequence[Item], kept: Mapping[str, str], voice: Voice, *, deleted: bool, wide: bool) -> None:
    for name, why in kept.items():
        voice.say(f"{name} stays: {why}")
    going = [item for item in items if not item.keep and item.name not in kept]
    cost = f"{sum(item.objects for item in going):,} objects, {size(sum(item.bytes for item in going))}"
    if not going:
        voice.say("nothing to delete" + ("" if wide else "; -o wide says why"))
    elif deleted:
        voice.say(f"deleted: {cost}")
    else:
        voice.say(f"nothing is deleted yet: {cost} would go with --yes")


def _document(store: Store, items: Sequence[Item], kept: Mapping[str, str], *, deleted: bool) -> dict[str, Any]:
    """What ``-o json`` says; keys are only ever added."""
    going = [item for item in items if not item.keep and item.name not in kept]
    return {
        "store": store.url,
        "deleted": deleted,
        "objects": sum(item.objects for item in going),
        "bytes": sum(item.bytes for item in going),
        "items": [
            {
                "kind": str(item.what),
                "name": item.name,
                "prefix": item.prefix,
                "municipality": item.municipality,
                "digest": item.digest,
                "objects": None if item.keep and not item.objects else item.objects,
                "bytes": None if item.keep and not item.objects else item.bytes,
                "used": item.used or None,
                "runs": list(item.runs),
                "keep": kept.get(item.name) or item.keep,
            }
            for item in items
        ],
    }
