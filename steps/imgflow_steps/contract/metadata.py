"""What a file may tell of its picture, by name: columns of results, fields of ``exif`` in rows and catalogs."""

from __future__ import annotations

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
