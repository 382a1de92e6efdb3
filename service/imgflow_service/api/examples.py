"""What the OpenAPI document says of routes that read their body themselves; tests send every example."""

from __future__ import annotations

from typing import Any

from imgflow_service.wire.problems import KINDS, REJECTED

BINARY = {"type": "string", "format": "binary"}
IMAGES = ("image/jpeg", "image/png", "image/webp", "image/tiff", "image/gif", "image/bmp")
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
    },
}


def _parameter(name: str, description: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema, "example": example}


PARAMETERS = [
    _parameter("width", "Width of the box, in pixels.", {"type": "integer", "minimum": 1, "maximum": 65_535}, 640),
    _parameter("height", "Height of the box, in pixels.", {"type": "integer", "minimum": 1, "maximum": 65_535}, 480),
    _parameter("mode", "How the picture comes into the box.", {"enum": ["fit", "cover", "exact"]}, "cover"),
    _parameter("scale", "false: leave the size as it is.", {"type": "boolean"}, True),
    _parameter("grayscale", "Throw the colour away.", {"type": "boolean"}, False),
    _parameter("format", "Format of the result.", {"enum": ["jpeg", "jpg", "png", "webp"]}, "webp"),
    _parameter("quality", "JPEG and WebP quality.", {"type": "integer", "minimum": 1, "maximum": 100}, 80),
    _parameter("steps", "Steps in short, instead of box and grey.", {"type": "string"}, "scale:50%,blur:median"),
    _parameter(
        "pipeline",
        "A whole pipeline as JSON, instead of all the others.",
        {"type": "string"},
        '{"steps":["scale:320x240","grayscale"],"output":"png"}',
    ),
    _parameter("name", "What chance in a step is drawn from.", {"type": "string"}, "a.jpg"),
]


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    codes: dict[int, list[str]] = {REJECTED.status: ["truncated", "too-many-pixels", "…"]}
    for code, kind in KINDS.items():
        codes.setdefault(kind.status, []).append(code)
    content = {"application/problem+json": {"schema": PROBLEM}}
    return {status: {"description": ", ".join(codes[status]), "content": content} for status in statuses}


ANY: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem, whose `code` says which.",
        "content": {"application/problem+json": {"schema": PROBLEM}},
    }
}
ANSWERS = {kind: {"schema": BINARY} for kind in (*IMAGES[:3], "multipart/mixed", "application/zip", "application/json")}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture; several where steps cut it.", "content": ANSWERS},
    **_problems(400, 401, 403, 413, 415, 422, 429, 500, 502, 503, 504),
}
KEPT: dict[int | str, dict[str, Any]] = {
    200: RESPONSES[200],
    304: {"description": "It is what the client has."},
    **_problems(400, 401, 404, 429),
}
POST: dict[str, Any] = {
    "parameters": PARAMETERS,
    "requestBody": {
        "required": True,
        "content": {
            **{kind: {"schema": BINARY} for kind in IMAGES},
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": BINARY}},
            },
            "application/json": {
                "schema": {"type": "object", "required": ["url"], "properties": {"url": {"type": "string"}}},
                "example": {"url": "https://photos.example/a.jpg"},
            },
        },
    },
}
GET: dict[str, Any] = {"parameters": PARAMETERS}
