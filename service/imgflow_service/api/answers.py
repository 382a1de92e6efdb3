"""Results as HTTP: one picture as itself, several as parts or an archive, findings as a document."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

from fastapi import Response

from imgflow_service.api import accepted
from imgflow_steps.contract.options import SUFFIX_OF_TYPE

if TYPE_CHECKING:
    from imgflow_service.api.front import Had
    from imgflow_service.api.made import Made, Piece

FINDINGS_LENGTH = 4 << 10  # characters of findings that a header may hold
YEAR = 31_536_000  # seconds
PARTS, ZIP, JSON = "multipart/mixed", "application/zip", "application/json"
FORMS = {PARTS: ".parts", ZIP: ".zip", JSON: ".json"}  # in the ETag: other bytes have another one
EPOCH = (1980, 1, 1, 0, 0, 0)  # of files in an archive: the same bytes every time


def answer(had: Had, headers: Mapping[str, str], accept: str, known: str = "") -> Response:
    """A result, as its client would have it; without its body where that is ``known`` to it (``If-None-Match``)."""
    made = had.made
    kind = accepted.chosen(accept, _kinds(made))
    etag = f'"{had.name}{FORMS.get(kind, "")}"'
    told = {**headers, "ETag": etag, "Vary": "Accept"}
    if _is_current(known, etag):
        return Response(status_code=304, headers=told)
    told["X-Imgflow-Source"] = made.source
    if kind == JSON:
        return Response(json.dumps(_document(made)), media_type=kind, headers=told)
    if kind == ZIP:
        return Response(_archive(made), media_type=kind, headers=told)
    if kind == PARTS:
        boundary = hashlib.sha256(had.name.encode()).hexdigest()[:32]  # the same bytes for the same ETag
        return Response(_parts(made, boundary), media_type=f"{kind}; boundary={boundary}", headers=told)
    [piece] = made.pieces
    return Response(piece.data, media_type=kind, headers={**told, **_about(piece)})


def _kinds(made: Made) -> list[str]:
    """Media types that a result may have, the one that it has where nothing is asked for first."""
    if not any(piece.content_type for piece in made.pieces):
        return [JSON]
    return [made.pieces[0].content_type, JSON] if len(made.pieces) == 1 else [PARTS, ZIP, JSON]


def _is_current(known: str, etag: str) -> bool:
    """Whether a client has this already, as ``If-None-Match`` says."""
    return known.strip() == "*" or etag in {one.strip().removeprefix("W/") for one in known.split(",")}


def _about(piece: Piece) -> dict[str, str]:
    told = {"X-Imgflow-Result": f"{piece.width}x{piece.height}"}
    if piece.found and len(found := json.dumps(dict(piece.found))) <= FINDINGS_LENGTH:
        told["X-Imgflow-Found"] = found
    return told


def name(piece: Piece) -> str:
    """What a picture of several is called."""
    return f"{piece.piece or 'image'}.{SUFFIX_OF_TYPE[piece.content_type]}"


def _parts(made: Made, boundary: str) -> bytes:
    body = []
    for piece in made.pieces:
        head = {
            "Content-Type": piece.content_type,
            "Content-Disposition": f'attachment; filename="{name(piece)}"',
            "Content-Length": str(len(piece.data)),
            **_about(piece),
        }
        lines = "".join(f"{field}: {value}\r\n" for field, value in head.items())
        body += [f"--{boundary}\r\n{lines}\r\n".encode(), piece.data, b"\r\n"]
    return b"".join([*body, f"--{boundary}--\r\n".encode()])


def _archive(made: Made) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # pictures do not shrink any more
        for piece in made.pieces:
            archive.writestr(zipfile.ZipInfo(name(piece), EPOCH), piece.data)
    return out.getvalue()


def _document(made: Made) -> dict[str, Any]:
    """A result as JSON; pictures in base 64."""
    return {
        "source": made.source,
        "pictures": [
            {
                "piece": piece.piece,
                "width": piece.width,
                "height": piece.height,
                "content_type": piece.content_type,
                "sha256": piece.sha256,
                "found": dict(piece.found),
                "data": base64.b64encode(piece.data).decode(),
            }
            for piece in made.pieces
        ],
    }


def timing(parts: Mapping[str, float]) -> str:
    """Milliseconds by part, as ``Server-Timing`` has them."""
    return ",".join(f"{part.replace('.', '-')};dur={ms:.1f}" for part, ms in parts.items())
