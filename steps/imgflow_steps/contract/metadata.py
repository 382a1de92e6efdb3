"""What a file may tell of its picture, by name: columns of results, fields of ``exif`` in rows and catalogs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

FIELDS: dict[str, str] = {  # and their types, as Arrow and DuckDB call them
    "taken": "timestamp[us]",  # by the camera's clock
    "zone": "string",  # of that clock, such as +02:00, where the file says it
    "camera": "string",
    "lens": "string",
    "exposure": "double",  # seconds
    "aperture": "double",  # the f-number
    "iso": "double",
    "focal_length": "double",  # mm
    "focal_length_35mm": "double",
    "orientation": "int64",  # as stored, 1 to 8; a result is upright
    "latitude": "double",  # degrees, WGS 84, north and east positive
    "longitude": "double",
    "altitude": "double",  # metres above the sea
    "title": "string",
    "description": "string",
}


def taken(told: Mapping[str, str | int | float]) -> datetime | None:
    """When a picture was taken, by the camera's clock; None where no file said so, or a row says what is no time."""
    try:
        return datetime.fromisoformat(str(told.get("taken", "")))
    except ValueError:
        return None
