from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Scaling(_message.Message):
    __slots__ = ("enabled", "width", "height", "mode")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    width: int
    height: int
    mode: str
    def __init__(self, enabled: _Optional[bool] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., mode: _Optional[str] = ...) -> None: ...

class ProcessRequest(_message.Message):
    __slots__ = ("image", "name", "scaling", "grayscale", "pipeline_json", "sha256", "request_id", "format", "quality")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCALING_FIELD_NUMBER: _ClassVar[int]
    GRAYSCALE_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_JSON_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    name: str
    scaling: Scaling
    grayscale: bool
    pipeline_json: str
    sha256: str
    request_id: str
    format: str
    quality: int
    def __init__(self, image: _Optional[bytes] = ..., name: _Optional[str] = ..., scaling: _Optional[_Union[Scaling, _Mapping]] = ..., grayscale: _Optional[bool] = ..., pipeline_json: _Optional[str] = ..., sha256: _Optional[str] = ..., request_id: _Optional[str] = ..., format: _Optional[str] = ..., quality: _Optional[int] = ...) -> None: ...

class Picture(_message.Message):
    __slots__ = ("piece", "data", "width", "height", "content_type", "sha256", "found_json")
    PIECE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    FOUND_JSON_FIELD_NUMBER: _ClassVar[int]
    piece: str
    data: bytes
    width: int
    height: int
    content_type: str
    sha256: str
    found_json: str
    def __init__(self, piece: _Optional[str] = ..., data: _Optional[bytes] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., content_type: _Optional[str] = ..., sha256: _Optional[str] = ..., found_json: _Optional[str] = ...) -> None: ...

class ProcessResponse(_message.Message):
    __slots__ = ("pictures", "source_width", "source_height", "source_format", "ms", "digest", "processor")
    class MsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SOURCE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    MS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PROCESSOR_FIELD_NUMBER: _ClassVar[int]
    pictures: _containers.RepeatedCompositeFieldContainer[Picture]
    source_width: int
    source_height: int
    source_format: str
    ms: _containers.ScalarMap[str, float]
    digest: str
    processor: str
    def __init__(self, pictures: _Optional[_Iterable[_Union[Picture, _Mapping]]] = ..., source_width: _Optional[int] = ..., source_height: _Optional[int] = ..., source_format: _Optional[str] = ..., ms: _Optional[_Mapping[str, float]] = ..., digest: _Optional[str] = ..., processor: _Optional[str] = ...) -> None: ...

class ProcessChunk(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: ProcessRequest
    data: bytes
    def __init__(self, header: _Optional[_Union[ProcessRequest, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ProcessedChunk(_message.Message):
    __slots__ = ("header", "data", "picture")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    header: ProcessResponse
    data: bytes
    picture: int
    def __init__(self, header: _Optional[_Union[ProcessResponse, _Mapping]] = ..., data: _Optional[bytes] = ..., picture: _Optional[int] = ...) -> None: ...
