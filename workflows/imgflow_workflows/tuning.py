"""What a run's own figures say about shard size, layout and resources for the next one. All but ``evidence`` is pure.

A pod costs ``overhead`` seconds besides its images: its place, its start, Argo's own containers, its end. So that
this stays below a share ε of its time, a shard of images that take t seconds each holds

    n >= overhead (1/ε - 1) / t

of them. ε is 5 %, or 10 % where otherwise some of the pods that fit at once would have no shard. The number of shards
is a multiple of the pods at once, so that the last ones leave no node idle, and ``WAVES`` of them as long as n allows:
more would cost more pods and even out nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from hera.workflows.converters import convert_cpu_units, convert_memory_units

from imgflow_steps.records.costs import WAITING
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.progress import ShardProgress, read_shards
from imgflow_steps.records.run import Run
from imgflow_steps.records.sharding import MAX_SHARDS, cut
from imgflow_steps.report.figures import number
from imgflow_workflows.argo.options import Options
from imgflow_workflows.connect import open_argo
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.kube.workflow_nodes import Span
from imgflow_workflows.text import counted

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_workflows.runs.state import RunState
    from imgflow_workflows.settings import Settings

SHARES = (0.05, 0.10)  # of a pod's time that may go into its overhead: first wish, last resort
WAVES = 4  # shards for each pod that fits at once
SPARE = 1.25  # memory asked for, over the most that was held
STEP = 64 << 20  # memory is asked for in multiples of 64 Mi


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What is known of a run: what its containers said, and on a cluster its pods and what they were given."""

    run: Run
    listing: Listing
    shards: Sequence[ShardProgress]
    spans: Sequence[Span] = ()
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One setting: a flag of submit, or a value of the chart. ``proposed`` equals ``now`` where it is right."""

    setting: str
    now: str
    proposed: str
    why: str


def evidence(settings: Settings, store: Store, known: RunState) -> RunFigures:
    """What a run left that says how the next one should be cut. Raises ImgflowError where it has not listed yet."""
    listing = known.progress.listing
    if listing is None:
        raise ImgflowError(f"run {known.run.id} has not listed its images yet", "ask again later", ExitCode.FAILED)
    shards = read_shards(store, known.run.id)
    if known.run.engine != "argo":
        return RunFigures(known.run, listing, shards)
    spans, options = open_argo(settings.model_copy(update={"engine": "argo"}), store).usage(known.run.id)
    return RunFigures(known.run, listing, shards, spans, options)


def propose(known: RunFigures) -> list[Proposal]:
    """Every setting that the run says something about, changed or not; none when nothing was computed."""
    computed = [one for one in known.shards if one.done]
    if not computed:
        return []
    proposals = [_shard_size(known, computed)]
    if known.run.engine == "argo":
        proposals.append(_layout(known, computed))
        by_step: defaultdict[str, list[ShardProgress]] = defaultdict(list)
        for one in computed:
            by_step[_step(known, one.label)].append(one)
        for step, containers in by_step.items():
            proposals += [_cpu(known, step, containers), *_memory(known, step, containers)]
    return proposals


def shard_size(images: int, *, overhead: float, each: float, slots: int) -> int:
    """Images per shard for ``images`` of ``each`` seconds in a pod that costs ``overhead``; the module says how."""
    most = 1
    for share in SHARES:
        least = max(1, math.ceil(overhead * (1 / share - 1) / max(each, 1e-6)), math.ceil(images / MAX_SHARDS))
        most = max(1, images // least)
        if most >= slots:
            break
    waves = min(WAVES, most // slots)
    return math.ceil(images / (waves * slots if waves else most))


def _shard_size(known: RunFigures, computed: Sequence[ShardProgress]) -> Proposal:
    overhead, evidence = _overhead(known)
    done: Counter[str] = Counter()
    for one in computed:
        done[one.label] += one.done
    workers = 1 if known.run.workers else max(one.workers for one in computed)  # here, shards share the processes
    each = sum(_busy(known, one) for one in computed) / max(done.values()) / workers
    slots = known.run.workers or _at_once(computed)
    images, now = _cut(known)
    size = shard_size(images, overhead=overhead, each=each, slots=slots)
    cheap = overhead <= SHARES[0] * (overhead + now * each)
    if cheap and (known.run.engine == "local" or known.listing.shards % slots == 0):  # here, shards share processes
        size = now
    lost = overhead / (overhead + size * each) if overhead else 0.0
    why = (
        f"a shard costs {overhead:.1f} s ({evidence}) and each of its images {number(each)} s: "
        f"{counted(math.ceil(images / size), 'shard')}, {slots} at once, would lose {lost:.1%} of their time"
    )
    return Proposal("--shard-size", str(now), str(size), why)


def _cut(known: RunFigures) -> tuple[int, int]:
    """Images of the whole run and its shard size; what was left for a later attempt says nothing of either."""
    listing, run = known.listing, known.run
    images = max(listing.todo + listing.processed, 1)
    if not listing.processed:
        return images, listing.shard_size
    whole = cut(
        run.pipeline,
        images=images,
        shard_size=run.list.shard_size,
        nodes=run.list.nodes,
        layout=listing.layout,
        local=run.engine == "local",
        workers=run.workers,
    )
    return images, whole.shard_size


def _layout(known: RunFigures, computed: Sequence[ShardProgress]) -> Proposal:
    overhead, _ = _overhead(known)
    now = known.listing.layout
    more = overhead * (len(known.run.pipeline.steps) - 1) * known.listing.shards
    share = more / max(1e-9, more + sum(_busy(known, one) for one in computed))
    why = f"a pod for every step and shard costs {more:.0f} s more, {share:.0%} of what all pods take"
    dear = now == "steps" and share > SHARES[-1]
    return Proposal(
        "--layout", now, "fused" if dear else now, why if now == "steps" else "one pod a shard is the least"
    )


def _cpu(known: RunFigures, step: str, containers: Sequence[ShardProgress]) -> Proposal:
    used = sum(_busy(known, one) for one in containers) / max(1e-3, sum(one.updated - one.began for one in containers))
    workers = max(one.workers for one in containers)
    proposed = min(float(workers), max(0.1, math.ceil(10 * used) / 10))
    why = (
        f"{used:.2f} cores busy on average in {counted(len(containers), 'container')} of {counted(workers, 'process')}"
    )
    now = _now(known, step, "requests", "cpu")
    same = math.isclose(cores(now), proposed)
    return Proposal(_value(step, "requests.cpu"), now, now if same else f"{proposed * 1000:.0f}m", why)


def _memory(known: RunFigures, step: str, containers: Sequence[ShardProgress]) -> Iterable[Proposal]:
    """The request covers the most that was held. The limit only grows: a larger photograph may come."""
    held = max(one.memory for one in containers)
    killed = sum(span.out_of_memory for span in known.spans if span.step == step)
    limit = _now(known, step, "limits", "memory")
    request = _now(known, step, "requests", "memory")
    if not held and not killed:
        return
    needed = max(STEP, math.ceil(SPARE * held / STEP) * STEP)
    if killed:
        needed = max(needed, parse(request) + STEP)
        why = f"{killed} of its pods ran out of memory under {limit}"
        yield Proposal(_value(step, "limits.memory"), limit, mebi(max(2 * parse(limit), 2 * needed)), why)
    elif needed > parse(limit):
        why = f"{held >> 20} MiB were held, next to the limit"
        yield Proposal(_value(step, "limits.memory"), limit, mebi(2 * needed), why)
    told = f"at most {held >> 20} MiB held in {counted(len(containers), 'container')}" if held else why
    yield Proposal(_value(step, "requests.memory"), request, mebi(needed), told)


def _overhead(known: RunFigures) -> tuple[float, str]:
    """Seconds that a pod costs besides its images: on the fast side, since a pod may also wait for a place."""
    said = {(one.label, one.shard): one.updated - one.began for one in known.shards}
    labels = {label.replace(".", "-"): label for label in known.run.pipeline.labels}
    last = known.run.pipeline.labels[-1]
    rest = sorted(
        span.seconds - said[key]
        for span in known.spans
        if span.succeeded and (key := (labels.get(span.template, last), span.shard)) in said
    )
    if rest:
        return max(0.0, rest[len(rest) // 4]), f"the faster quarter of {len(rest)} pods"
    began = min(one.began for one in known.shards)
    seen = max(0.0, began - known.listing.ended) if known.listing.ended else 0.0
    return seen, "from the listing's end to the first shard"


def _busy(known: RunFigures, one: ShardProgress) -> float:
    """Seconds that a container's processes computed. Between steps, rows bring along what earlier steps took."""
    labels = known.run.pipeline.labels
    own = (
        {one.label}
        | ({"decode"} if one.label == labels[0] else set())
        | ({"encode"} if one.label == labels[-1] else set())
    )
    whole = known.listing.layout == "fused"
    return sum(ms for label, ms in one.ms.items() if label not in WAITING and (whole or label in own)) / 1000


def _at_once(computed: Sequence[ShardProgress]) -> int:
    """How many containers computed at the same time, at most."""
    changes = sorted([(one.began, 1) for one in computed] + [(one.updated, -1) for one in computed])
    return max(1, *accumulate(change for _, change in changes))


def _step(known: RunFigures, label: str) -> str:
    if known.listing.layout == "fused":
        return "fused"
    return re.sub(r"\.\d+$", "", label)


def _value(step: str, resource: str) -> str:
    return f"steps.{step}.resources.{resource}"


def _now(known: RunFigures, step: str, kind: str, resource: str) -> str:
    return str(known.options.placement(step).resources.get(kind, {}).get(resource, "0"))


def parse(quantity: str) -> int:
    """Bytes of a Kubernetes quantity such as 512Mi, 3Gi or 2G."""
    return int(convert_memory_units(quantity) if quantity.endswith("i") else convert_cpu_units(quantity))


def cores(quantity: str) -> float:
    """Cores of a Kubernetes quantity such as 500m or 2."""
    return convert_cpu_units(quantity)


def mebi(size: int) -> str:
    """Bytes as Kubernetes writes them."""
    return f"{math.ceil(size / (1 << 20))}Mi"


def values(proposals: Sequence[Proposal]) -> dict[str, Any]:
    """What is to change of the chart's values, as a values file holds it."""
    document: dict[str, Any] = {}
    for one in proposals:
        if one.setting.startswith("--") or one.proposed == one.now:
            continue
        *path, last = one.setting.split(".")
        place = document
        for part in path:
            place = place.setdefault(part, {})
        place[last] = one.proposed
    return document


def flags(proposals: Sequence[Proposal]) -> Mapping[str, str]:
    """What is to change of submit's flags."""
    return {one.setting: one.proposed for one in proposals if one.setting.startswith("--") and one.proposed != one.now}
