"""What was sent and what was made, to look at: ``/static/``, pages for people and JSON for programs."""

from __future__ import annotations

import asyncio
import json
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response

from imgflow_service.api import accepted
from imgflow_service.api.answers import JSON
from imgflow_service.api.choice import unrepeated
from imgflow_service.api.jobs import PAGE, document, href, job_of, jobs_of, summary
from imgflow_service.wire.problems import Problem
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from imgflow_service.api.front import Front
    from imgflow_service.jobs.records import Job

HTML = "text/html"
MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"GIF8": "image/gif", b"BM": "image/bmp"}
WEBP = (b"RIFF", b"WEBP")
CAREFUL = {  # pictures come from anybody: a browser shows them, and runs nothing
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox",
}
LOOKS = {**CAREFUL, "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"}
STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:70rem;margin:0 auto;padding:1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8886}
.wide{overflow-x:auto}ul{list-style:none;padding:0;display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr))}
figure{margin:0}img{width:100%;height:9rem;object-fit:contain;background:#8882}figcaption{font-size:.85rem;overflow-wrap:anywhere}
.no{color:#c33}
"""


def router(front: Front) -> APIRouter:
    """The routes."""
    routes = APIRouter(dependencies=[Depends(front.guest), Depends(unrepeated)], tags=["jobs"])

    @routes.get("/static/", response_class=Response)
    @routes.get("/static", include_in_schema=False)
    async def index(request: Request, after: str = "") -> Response:
        """All jobs, the newest first, a page at a time."""
        jobs, _ = jobs_of(front)
        ids = [each for each in await asyncio.to_thread(jobs.all) if not after or each < after]
        held = [each for each in await asyncio.gather(*(asyncio.to_thread(jobs.find, i) for i in ids[:PAGE])) if each]
        far = await asyncio.gather(*(asyncio.to_thread(jobs.progress, each) for each in held))
        told = [summary(each, of) for each, of in zip(held, far, strict=True)]
        following = f"/static/?after={ids[PAGE - 1]}" if len(ids) > PAGE else ""
        if _wants_json(request):
            return _json({"jobs": told, "next": following or None})
        return _page("Jobs", _table(told) + (f'<p><a href="{following}">older</a></p>' if following else ""))

    @routes.get("/static/{identity}/", response_class=Response)
    async def shown(request: Request, identity: str) -> Response:
        """A job's pictures: what was sent, and what was made of each."""
        jobs, _ = jobs_of(front)
        job = await job_of(front, identity)
        told = document(job, await asyncio.to_thread(jobs.progress, job))
        return _json(told) if _wants_json(request) else _page(f"Job {job.id[:12]}…", _gallery(job, told))

    @routes.get("/static/{identity}/sent/{name}", response_class=Response)
    async def sent(identity: str, name: str) -> Response:
        """A picture as it was sent."""
        job = await job_of(front, identity)
        numbers = [number for number, each in enumerate(job.files) if each.name == name]
        if not numbers:
            raise Problem("not-found", "no such file was sent")
        return await _picture(front, job.sent(numbers[0]), "")

    @routes.get("/static/{identity}/{name}", response_class=Response)
    async def result(identity: str, name: str) -> Response:
        """A picture that was made."""
        jobs, _ = jobs_of(front)
        rows = await asyncio.to_thread(jobs.rows, await job_of(front, identity))
        for row in rows.values():
            for each in row.results:
                if each.name == name:
                    return await _picture(front, each.key, each.content_type)
        raise Problem("not-found", "there is no such picture, or not yet")

    return routes


async def _picture(front: Front, key: str, content_type: str) -> Response:
    jobs, _ = jobs_of(front)
    try:
        data = await asyncio.to_thread(jobs.store.read, key)
    except NotFoundError:
        raise Problem("not-found", "it is no longer in the store") from None
    kind = content_type or next((kind for magic, kind in MAGIC.items() if data.startswith(magic)), "")
    if not kind:
        kind = "image/webp" if (data[:4], data[8:12]) == WEBP else "application/octet-stream"
    return Response(data, media_type=kind, headers={**CAREFUL, "Cache-Control": "private, max-age=3600"})


def _wants_json(request: Request) -> bool:
    return accepted.chosen(request.headers.get("accept", ""), (HTML, JSON)) == JSON


def _json(told: dict[str, Any]) -> Response:
    return Response(json.dumps(told), media_type=JSON, headers={"Cache-Control": "no-store"})


def _page(title: str, body: str) -> Response:
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head = f"{meta}<title>{escape(title)} - imgflow</title>"
    links = '<p><a href="/">imgflow</a> · <a href="/static/">jobs</a></p>'
    text = f'<!doctype html><html lang="en">{head}<style>{STYLE}</style>{links}<h1>{escape(title)}</h1>{body}</html>'
    return Response(text, media_type=HTML, headers={**LOOKS, "Cache-Control": "no-store"})


def _table(told: list[dict[str, Any]]) -> str:
    if not told:
        return "<p>There are no jobs yet. POST /process makes one.</p>"
    rows = "".join(
        f'<tr><td><a href="{each["links"]["results"]}">{each["job"][:12]}…</a><td>{each["status"]}'
        f"<td>{each['counts']['processed']} of {each['counts']['listed']}<td>{each['created']}"
        f"<td>{each['expires'] or ''}"
        for each in told
    )
    head = "<tr><th>Job<th>Status<th>Processed<th>Created<th>Kept until"
    return f'<div class="wide"><table>{head}{rows}</table></div>'


def _gallery(job: Job, told: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in told["counts"].items() if count)
    parts = [f'<p>{told["status"]}: {counts} · <a href="{told["links"]["zip"]}">results.zip</a></p>']
    for file in told["files"]:
        name = escape(file["name"])
        why = f'<p class="no">{escape(file["code"])}: {escape(file["message"])}</p>' if file.get("code") else ""
        shown = [_figure(href(job, f"sent/{file['name']}"), "sent", name)]
        for each in file["results"]:
            label = escape(each["href"].rpartition("/")[2])
            shown.append(_figure(each["href"], f"{each['width']}x{each['height']}", label))
        parts.append(f"<h2>{name}</h2><p>{file['status']}</p>{why}<ul>{''.join(shown)}</ul>")
    return "".join(parts)


def _figure(where: str, about: str, name: str) -> str:
    safe = quote(where, safe="/%~")
    picture = f'<a href="{safe}"><img loading="lazy" src="{safe}" alt="{name}"></a>'
    return f"<li><figure>{picture}<figcaption>{name}<br>{about}</figcaption></figure>"
