"""The routes of the explorer. It is for one person at this machine: only known names of it are answered."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.row import Row
from imgflow_steps.records.run import load
from imgflow_steps.report.report import STYLE
from imgflow_steps.store import NotFoundError, StoreError
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.explorer import compare, details, overlay, pages, tags
from imgflow_workflows.explorer.choice import PER_PAGE, Choice, column, read
from imgflow_workflows.explorer.facets import facets
from imgflow_workflows.explorer.pictures import kind_of, picture
from imgflow_workflows.runs.history import Record, records
from imgflow_workflows.runs.seek import seek
from imgflow_workflows.runs.story import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

    from imgflow_steps.store import Store
    from imgflow_workflows.explorer.index import Index

HERE = Path(__file__).parent
DOTS = 2000  # places on the map
FOLDERS = 12
GROUPS = 20  # near-duplicates on a page
TAGGED = 100_000  # images that are tagged at once
POLICY = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self' 'unsafe-inline'; "
    "script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
FAULTS = (BadParametersError, ImgflowError, StoreError)


class Explorer:
    """What the routes share. Every answer is computed in a thread, so a slow question keeps nobody waiting."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.token = secrets.token_urlsafe(24)  # in every form: another site cannot know it
        self.title = f"{index.municipality or 'All images'} in {index.store.url}"

    def overview(self, choice: Choice) -> bytes:
        """The grid, or the map; where what somebody typed cannot be asked, that beside all images."""
        trouble, shown = "", choice
        try:
            where, values = choice.condition(self.index.columns)
            ((total,),) = self.index.ask(f"SELECT count(*) FROM images WHERE {where}", values)
            choice.order(self.index.columns)
        except BadParametersError as error:
            trouble, shown = str(error), Choice()
            where, values = shown.condition(self.index.columns)
            ((total,),) = self.index.ask("SELECT count(*) FROM images")
        beside = pages.sidebar(shown, self._folders(shown), facets(self.index, shown))
        asked = [
            *pages.bar(choice, self.index.columns, token=self.token, trouble=trouble, total=total),
            *pages.unfinished(self.index.newest.values()),
            *pages.uncovered(one.run for one in self.index.newest.values() if self.index.shows(one.run)),
        ]
        if shown.view == "map":
            return self._map(where, values, beside, asked)
        ((every,),) = self.index.ask("SELECT count(*) FROM images")
        rows = self._rows(shown)
        return pages.overview(self.title, shown, rows, total=total, all_images=every, beside=beside, asked=asked)

    def tiles(self, choice: Choice) -> bytes:
        """One page of the grid, for the script."""
        return "".join(pages.tiles(self._rows(choice))).encode()

    def _rows(self, choice: Choice) -> Sequence[pages.Tile]:
        where, values = choice.condition(self.index.columns)
        shown = _caption(choice, self.index.columns)
        return self.index.ask(
            f"SELECT municipality, image, coalesce(status, ''), {shown} FROM images WHERE {where} "
            f"ORDER BY {choice.order(self.index.columns)} LIMIT {PER_PAGE} OFFSET {choice.page * PER_PAGE}",
            values,
        )

    def _map(self, where: str, values: list[Any], beside: Any, asked: Any) -> bytes:
        known = f"FROM images WHERE latitude IS NOT NULL AND longitude IS NOT NULL AND {where}"
        ((total,),) = self.index.ask(f"SELECT count(*) {known}", values)
        every = max(1, -(-total // DOTS))
        places = self.index.ask(
            "SELECT municipality, image, latitude, longitude FROM (SELECT *, row_number() OVER () AS n "
            f"{known}) WHERE n % {every} = 0 OR {every} = 1",
            values,
        )
        return pages.mapped(self.title, places, total=total, beside=beside, asked=asked)

    def _folders(self, choice: Choice) -> list[tuple[str, int]]:
        inside = Choice(choice.where, choice.values, choice.ranges, choice.folder)
        where, values = inside.condition(self.index.columns)
        begin = f"{choice.folder}/" if choice.folder else ""
        rows = self.index.ask(
            f"SELECT ? || split_part(substr(folder, ? + 1), '/', 1) AS part, count(*) FROM images WHERE {where} AND "
            f"starts_with(folder, ?) AND length(folder) > ? GROUP BY part ORDER BY part LIMIT {FOLDERS}",
            [begin, len(begin), *values, begin, len(begin)],
        )
        return [(str(part), int(number)) for part, number in rows]

    def image(self, municipality: str, name: str) -> bytes:
        """An image's own page. Raises BadParametersError where there is none."""
        columns = list(self.index.columns)
        rows = self.index.ask("SELECT * FROM images WHERE municipality = ? AND image = ?", [municipality, name])
        if not rows:
            raise BadParametersError(f"there is no image {name[:200]!r} of {municipality[:80]!r}")
        row = dict(zip(columns, rows[0], strict=True))
        first = row.get("duplicate_of") or name
        alike = self.index.ask(
            "SELECT image FROM images WHERE municipality = ? AND (image = ? OR duplicate_of = ?) AND image != ? "
            "ORDER BY image LIMIT 12",
            [municipality, first, first, name],
        )
        story = tell(self.index.store, municipality, name, _records(self.index.store))
        sides = [picture(self.index, municipality, name, side) is not None for side in ("original", "result")]
        return details.image(
            row, story, [str(other) for (other,) in alike], token=self.token, before=sides[0], after=sides[1],
            drawn=overlay.of(row, story, original=not sides[1]) if any(sides) else None,
        )  # fmt: skip

    def alike(self, start: int) -> bytes:
        """Near-duplicates of the newest runs, the largest groups first."""
        grouped = "FROM images WHERE duplicate_of IS NOT NULL GROUP BY municipality, duplicate_of"
        ((total,),) = self.index.ask(f"SELECT count(*) FROM (SELECT 1 {grouped})")
        found = self.index.ask(
            f"SELECT municipality, duplicate_of, list(image ORDER BY image) {grouped} "
            f"ORDER BY count(*) DESC, municipality, duplicate_of LIMIT {GROUPS} OFFSET {start}"
        )
        return details.alike(found, total=total, start=start, step=GROUPS)

    def runs(self, a: str, b: str) -> bytes:
        """Two runs beside each other."""
        known = [one for one in _records(self.index.store) if one.summary]
        ordered = sorted(known, key=lambda one: -one.run.created)
        choices = [(one.run.id, f"{one.run.municipality}: {one.run.id}") for one in ordered]
        found, trouble = None, ""
        if a and b:
            try:
                unseen = [one.run.id for one in known if self.index.shows(one.run)]
                found = compare.compare(self.index.store, a, b, unseen)
            except BadParametersError as error:
                trouble = str(error)
        a, b = a or (choices[0][0] if choices else ""), b or (choices[min(1, len(choices) - 1)][0] if choices else "")
        return details.runs(choices, found, a, b, trouble)

    def picture(self, given: Mapping[str, str]) -> Response:
        """The bytes of a picture, of an image as it is now or of a run's result."""
        if run := given.get("run"):
            found = self._of_run(run, given.get("image", ""))
        else:
            found = picture(self.index, given.get("municipality", ""), given.get("image", ""), given.get("side", ""))
        if found is None:
            return Response(status_code=404, headers=POLICY)
        data, kind = found
        held = {"Cache-Control": "private, max-age=600", "Content-Security-Policy": "default-src 'none'; sandbox"}
        return Response(data, media_type=kind, headers=POLICY | held)

    def _of_run(self, run: str, image: str) -> tuple[bytes, str] | None:
        file = self.index.store.stat(keys.results_jsonl(keys.check_run(run)))
        found = seek(self.index.store, file, image) if file else []
        row = Row.model_validate_json(found[0]) if found else None
        if not row or not row.outputs or not row.outputs[0].key or self.index.shows(load(self.index.store, run)):
            return None
        small = row.thumbs[1] if len(row.thumbs) > 1 else ""
        for key in filter(None, (small, row.outputs[0].key)):
            try:
                data = self.index.store.read(key)
            except NotFoundError:
                continue
            if kind := kind_of(data):
                return data, kind
        return None

    def tag(self, form: Mapping[str, str]) -> str:
        """Write tags to the catalog; gives the page to go on with. Raises BadParametersError."""
        if not secrets.compare_digest(form.get("token", ""), self.token):
            raise BadParametersError(
                "this form is of another start of imgflow view; go back, load the page again, and send"
            )
        if "chosen" in form:
            return self._tag_all(form["chosen"], form.get("tags", ""))
        municipality, name, words = form.get("municipality", ""), form.get("image", ""), tags.tidy(form.get("tags", ""))
        if not self.index.ask("SELECT 1 FROM images WHERE municipality = ? AND image = ?", [municipality, name]):
            raise BadParametersError(f"there is no image {name[:200]!r} of {municipality[:80]!r}")
        tags.write(self.index.store, municipality, {name: words})
        self.index.tag(municipality, name, words)
        return pages.place_of(municipality, name)

    def _tag_all(self, address: str, words: str) -> str:
        choice = read(parse_qsl(address.removeprefix("?"), keep_blank_values=True))
        where, values = choice.condition(self.index.columns)
        rows = self.index.ask(f"SELECT municipality, image, tags FROM images WHERE {where} LIMIT {TAGGED}", values)
        for municipality in sorted({row[0] for row in rows}):
            some = tags.added(((image, before) for whose, image, before in rows if whose == municipality), words)
            tags.write(self.index.store, municipality, some)
        self.index.refresh()
        return "./" + choice.address()


def _records(store: Store) -> list[Record]:
    return [one for _, one in records(store) if isinstance(one, Record)]


def _caption(choice: Choice, columns: Mapping[str, str]) -> str:
    """What a tile shows below its name: what the grid is sorted by."""
    return column(choice.sort, columns) if choice.sort else "NULL"


def create(index: Index, hosts: Sequence[str] = ()) -> Starlette:
    """The application. ``hosts`` are names by which it may be asked, besides those of this machine itself."""
    explorer = Explorer(index)

    def overview(request: Request) -> bytes:
        if request.query_params.get("refresh"):
            index.refresh()
        return explorer.overview(read(request.query_params.multi_items()))

    async def tagged(request: Request) -> Response:
        form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        try:
            return RedirectResponse(await run_in_threadpool(explorer.tag, form), 303, POLICY)
        except FAULTS as error:
            return Response(pages.trouble(str(error)), 400, POLICY, "text/html")

    style = STYLE.read_bytes() + (HERE / "explorer.css").read_bytes()
    routes = [
        Route("/", _shown(overview)),
        Route("/tiles", _shown(lambda request: explorer.tiles(read(request.query_params.multi_items())))),
        Route("/image", _shown(lambda request: explorer.image(*_of(request, "municipality", "image")))),
        Route("/picture", _shown(lambda request: explorer.picture(request.query_params))),
        Route("/alike", _shown(lambda request: explorer.alike(_number(request, "start")))),
        Route("/runs", _shown(lambda request: explorer.runs(*_of(request, "a", "b")))),
        Route("/tags", tagged, methods=["POST"]),
        Route("/style.css", _file(style, "text/css")),
        Route("/explorer.js", _file((HERE / "explorer.js").read_bytes(), "text/javascript")),
    ]
    names = ["localhost", "127.0.0.1", *hosts]
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False)  # against rebound names
    return Starlette(routes=routes, middleware=[guard])


def _shown(answer: Callable[[Request], bytes | Response]) -> Callable[[Request], Any]:
    async def route(request: Request) -> Response:
        try:
            body = await run_in_threadpool(answer, request)
        except FAULTS as error:
            return Response(pages.trouble(str(error)), 404, POLICY, "text/html")
        if isinstance(body, Response):
            return body
        return Response(body, 200, POLICY | {"Cache-Control": "no-store"}, "text/html")

    return route


def _file(data: bytes, kind: str) -> Callable[[Request], Any]:
    async def route(_request: Request) -> Response:
        return Response(data, 200, POLICY, kind)

    return route


def _of(request: Request, *names: str) -> list[str]:
    return [request.query_params.get(name, "") for name in names]


def _number(request: Request, name: str) -> int:
    given = request.query_params.get(name, "")
    return min(int(given), 10**9) if given.isascii() and given.isdigit() else 0
