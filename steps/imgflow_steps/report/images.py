"""What a report shows of the images: each section a pure function of the facts, None when it has nothing to show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING

from imgflow_steps.report import charts, pages
from imgflow_steps.report.figures import box, clock, count, milliseconds, moment, number, share, size
from imgflow_steps.report.maps import Place, dots
from imgflow_steps.report.markup import Content, Markup, prose, section, table, tag
from imgflow_steps.report.remedies import HINTS, OTHER_FAILED, OTHER_REJECTED

if TYPE_CHECKING:
    from imgflow_steps.records.row import Row
    from imgflow_steps.report.account import Account, RejectionGroup, Span
    from imgflow_steps.report.data import Facts
    from imgflow_steps.report.statistics import ModelFinding, Spread, Tally, Times

COLUMNS = 32  # of a histogram
WORDS = 12  # shown per finding
CARDS = 24  # findings shown
PAIRS_OPEN = 12  # pairs shown at once, the others on demand
PER_PAIR = 6  # findings shown with a pair


def findings(facts: Facts) -> Markup | None:
    """What models said: words as bars, numbers as histograms."""
    found = facts.account.findings
    if not found:
        return None
    cards = [answers(name, said) for name, said in list(found.items())[:CARDS]]
    rest = len(found) - CARDS
    more = tag("p", f"{count(rest, 'more finding')} in results.jsonl.", class_="quiet") if rest > 0 else None
    return section("found", "What the model found", tag("div", cards, class_="cards"), more)


def answers(name: str, finding: ModelFinding) -> Markup:
    """What models said under one name."""
    body: list[Content] = []
    if finding.words.total:
        body.append(words(finding.words))
    if finding.numbers.n:
        body.append(histogram(name, finding.numbers))
    return tag("div", tag("h3", name), body, class_="card")


def histogram(name: str, numbers: Spread) -> Markup:
    """How numbers lie."""
    if numbers.low == numbers.high:
        return tag("p", f"always {number(numbers.low)}, {count(numbers.n, 'time')}")
    below = (number(numbers.low), f"mean {number(numbers.mean)}", number(numbers.high))
    return charts.columns(*numbers.columns(COLUMNS), number, of=name, below=below)


def words(tally: Tally) -> Markup:
    """How often each word was said: bars of the most frequent ones."""
    total, frequent = tally.total, tally.words.most_common(WORDS)
    rest = total - sum(n for _, n in frequent)
    lines = [*frequent, *([("all others", rest)] if rest else [])]
    rows = [
        tag(
            "tr",
            tag("th", tag("bdi", word), scope="row"),
            tag("td", charts.bar(n, total), class_="stretch"),
            tag("td", count(n), class_="figure"),
            tag("td", share(n, total), class_="figure quiet"),
        )
        for word, n in lines
    ]
    return tag("table", tag("tbody", rows), class_="bars")


def origins(facts: Facts) -> Markup | None:
    """When, with what and where photographs were taken, as their files tell."""
    account = facts.account
    taken, cameras, rows = account.taken, account.cameras, account.places.kept
    if not (taken.n or cameras.total or rows):
        return None
    cards = []
    if taken.n:
        of = f"{count(taken.n, 'photograph')} taken"
        cards.append(tag("div", tag("h3", of), _when(taken, of), class_="card"))
    if cameras.total:
        cards.append(tag("div", tag("h3", "Camera"), words(cameras), class_="card"))
    where = None
    if rows:
        number = count(account.places.seen, "photograph")
        some = f", {count(len(rows))} of them shown" if len(rows) < account.places.seen else ""
        places = [
            Place(float(r.exif["latitude"]), float(r.exif["longitude"]), r.image, facts.places.get(r.image, ""))
            for r in rows
        ]
        where = [tag("h3", f"{number} with a position{some}"), dots(places)]
    return section("told", "When, where and with what", tag("div", cards, class_="cards") if cards else None, where)


def _when(taken: Spread, of: str) -> Markup:
    if taken.low == taken.high:
        return tag("p", f"all at {clock(taken.low)}")
    days = taken.high - taken.low > 2 * 86_400  # seconds

    def write(seconds: float) -> str:
        return clock(seconds)[: 10 if days else 16]

    return charts.columns(*taken.columns(COLUMNS), write, of=of, below=(write(taken.low), write(taken.high)))


def before_after(facts: Facts) -> Markup | None:
    """Pictures side by side, evenly chosen."""
    rows = [row for row in facts.account.pairs.kept if any(key in facts.thumbs for key in row.thumbs)]
    if not rows:
        return None
    figures = [_pair(row, facts.thumbs, facts.places) for row in rows]
    shown, rest = figures[:PAIRS_OPEN], figures[PAIRS_OPEN:]
    more = (
        tag("details", tag("summary", f"{count(len(rest))} more"), tag("div", rest, class_="pairs")) if rest else None
    )
    return section("pictures", "Before and after", tag("div", shown, class_="pairs"), more)


def _pair(row: Row, thumbs: Mapping[str, str], places: Mapping[str, str]) -> Markup:
    said = pages.findings(row, PER_PAIR)
    sizes = [box(row.width, row.height), pages.made(row.outputs)]
    return tag(
        "figure",
        tag("div", [thumb(row, side, thumbs) for side in sides(row)], class_="sides"),
        tag(
            "figcaption",
            pages.image_link(row.image, places),
            tag("span", " → ".join(sizes), class_="quiet"),
            tag("dl", [tag("div", tag("dt", k), tag("dd", v)) for k, v in said]) if said else None,
        ),
    )


def sides(row: Row) -> list[str]:
    """Which pictures of an image there may be: of one with something to be covered only that in which it is."""
    return [side for side, key in zip_longest(("before", "after"), row.thumbs, fillvalue=None) if side and key != ""]


def only(row: Row) -> str:
    """The side that is shown where there is place for one."""
    return "after" if row.thumbs and not row.thumbs[0] else "before"


def thumb(row: Row, side: str, thumbs: Mapping[str, str]) -> Markup:
    """A small picture of an image, or a place that says there is none."""
    at = ("before", "after").index(side)
    file = thumbs.get(row.thumbs[at]) if len(row.thumbs) > at else None
    if file is None:
        return tag("span", "no picture", class_="thumb none")
    return tag("img", src=file, alt=f"{side}: {row.image}", loading="lazy", class_="thumb")


def small_picture(row: Row, thumbs: Mapping[str, str]) -> Markup | None:
    """The one picture that is shown beside a name, None where the report has none of the image."""
    side = only(row)
    key = row.thumbs[side == "after" :][:1]
    return thumb(row, side, thumbs) if key and key[0] in thumbs else None


def rejected(facts: Facts) -> Markup | None:
    """Images at fault, by reason."""
    reasons = facts.account.rejected
    if not reasons:
        return None
    again = tag("code", f"imgflow retry {facts.run.id} --rejected")
    note = tag("p", "Once a file is replaced it is tried again by itself. To ask again for all: ", again)
    body = _reasons(reasons, facts, OTHER_REJECTED)
    return section("rejected", f"Rejected: {count(facts.summary.counts.rejected, 'image')}", note, body)


def failed(facts: Facts) -> Markup | None:
    """Images that the platform failed, by reason, and the shards that were given up."""
    reasons = facts.account.failed
    if not reasons:
        return None
    note = tag("p", "To try them again, and nothing else: ", tag("code", f"imgflow retry {facts.run.id}"))
    shards = [
        tag("li", tag("span", tag("strong", f"{one.label}, shard {one.shard}"), " ", prose(one.error)))
        for one in facts.given_up
    ]
    ended = [tag("h3", "Shards that ended early"), tag("ul", shards, class_="examples")] if shards else None
    body = _reasons(reasons, facts, OTHER_FAILED)
    return section("failed", f"Failed: {count(facts.summary.counts.failed, 'image')}", note, body, ended)


def _reasons(reasons: Mapping[str, RejectionGroup], facts: Facts, otherwise: str) -> list[Markup]:
    ordered = sorted(reasons.items(), key=lambda item: (-item[1].images, item[0]))
    return [_reason(code, reason, facts, HINTS.get(code, otherwise)) for code, reason in ordered]


def _reason(code: str, reason: RejectionGroup, facts: Facts, hint: str) -> Markup:
    messages = {row.message for row in reason.examples}
    same = prose(messages.pop()) if len(messages) == 1 else None
    examples = [_example(row, facts, with_message=same is None) for row in reason.examples]
    rest = reason.images - len(examples)
    known = f"{count(reason.known)} known from earlier runs" if reason.known else None
    return tag(
        "details",
        tag("summary", tag("code", code), tag("strong", count(reason.images, "image")), tag("span", known)),
        tag("p", hint),
        tag("p", same, class_="quiet") if same else None,
        tag("ul", examples, class_="examples"),
        tag("p", f"and {count(rest)} more, in results.csv", class_="quiet") if rest else None,
        class_="reason",
        open="",
    )


def _example(row: Row, facts: Facts, *, with_message: bool) -> Markup:
    picture = small_picture(row, facts.thumbs)
    message = [" ", tag("span", prose(row.message), class_="quiet")] if with_message else None
    return tag("li", picture, tag("span", pages.image_link(row.image, facts.places), message))


def times(facts: Facts) -> Markup | None:
    """Where the time of this run went."""
    account = facts.account
    if not account.images.n:
        return None
    order = ["fetch", "decode", *facts.run.pipeline.labels, "encode", "publish"]
    steps = {name: account.steps[name] for name in [*order, *sorted(account.steps)] if name in account.steps}
    whole = account.images.total
    figures = [(text, "figure") for text in ("Mean", "Median", "95 %", "Longest")]
    heads = [("Step", None), ("Share", "figure"), ("", "stretch"), *figures]
    rows = [_times(name, step, whole) for name, step in steps.items()]
    body = table("times", heads, rows, _times("all together", account.images, whole))
    note = tag("p", "Time of one process per image; several work at once.", class_="quiet")
    return section("times", "Time per step", body, note, *_paces(account))


def _paces(account: Account) -> Iterator[list[Markup]]:
    """When images were finished, for each attempt apart: the pause between two is nobody's pace."""
    for attempt, span in sorted(account.spans.items()):
        if span.seconds > 1:
            yield _pace(span, f", attempt {attempt + 1}" if len(account.spans) > 1 else "")


def _pace(span: Span, which: str) -> list[Markup]:
    ended, title = span.ended, f"Images finished over time{which}"
    below = (moment(ended.low), moment(ended.high))
    return [tag("h3", title), charts.columns(*ended.columns(COLUMNS * 2), moment, of=title, below=below)]


def _times(name: str, step: Times, whole: float) -> Markup:
    columns = (step.mean, step.quantile(0.5), step.quantile(0.95), step.high)
    return tag(
        "tr",
        tag("th", name, scope="row"),
        tag("td", share(step.total, whole), class_="figure"),
        tag("td", charts.bar(step.total, whole), class_="stretch"),
        [tag("td", milliseconds(ms), class_="figure") for ms in columns],
    )


def slowest(facts: Facts) -> Markup | None:
    """The images that took longest."""
    rows = facts.account.slowest
    if not rows:
        return None
    body = [
        tag(
            "tr",
            tag(
                "th",
                thumb(row, only(row), facts.thumbs) if row.thumbs else None,
                pages.image_link(row.image, facts.places),
                scope="row",
            ),
            tag("td", pages.status_word(row.status)),
            tag("td", milliseconds(ms), class_="figure"),
            tag("td", _longest(row), class_="wide"),
            tag("td", box(row.width, row.height), class_="figure wide"),
            tag("td", size(row.bytes), class_="figure wide"),
        )
        for ms, row in rows
    ]
    heads = (
        ("Image", None),
        ("Status", None),
        ("Time", "figure"),
        ("Mostly", "wide"),
        ("Pixels", "figure wide"),
        ("Size", "figure wide"),
    )
    return section("slowest", "Slowest images", table("slowest", heads, body))


def _longest(row: Row) -> str:
    top = sorted(row.ms.items(), key=lambda item: -item[1])[:2]
    return ", ".join(f"{name} {milliseconds(ms)}" for name, ms in top)
