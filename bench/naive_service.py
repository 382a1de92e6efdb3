"""The service that everybody writes first: FastAPI in front of Pillow."""

from __future__ import annotations

from io import BytesIO

from bench.peers import QUALITY, small
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

BOX = (1024, 768)

app = FastAPI()


@app.post("/")
async def scaled(request: Request, grey: bool = True) -> Response:
    """A picture into the box."""
    return Response(await run_in_threadpool(_made, await request.body(), grey), media_type="image/jpeg")


def _made(data: bytes, grey: bool) -> bytes:
    image = small(data, BOX)
    out = BytesIO()
    (image.convert("L") if grey else image).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
