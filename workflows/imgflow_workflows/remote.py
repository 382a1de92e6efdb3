"""A client of the image service: pictures over HTTP, asked again where that may help."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

from imgflow_steps.contract.redaction import conceal
from imgflow_steps.report.remedies import HINTS
from imgflow_workflows.errors import ExitCode, ImgflowError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

URL, KEY = "IMGFLOW_SERVICE", "IMGFLOW_SERVICE_KEY"  # variables that say where it is, and with which key
HERE = "http://127.0.0.1:8080"
AGAIN = {429, 502, 503}  # statuses that another try may change; processing is pure, so every request may be repeated
WAITS = (0.2, 0.5, 1.0, 2.0)  # seconds before each further try, where the service does not say
LONGEST = 10.0  # seconds that are waited because the service says so


@dataclass(frozen=True, slots=True)
class Piece:
    """One picture of an answer; ``found`` is what steps found in it."""

    data: bytes = field(repr=False)
    width: int
    height: int
    name: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Processed:
    """What the service made of one picture; ``source`` is the original's size and format, ``cache`` hit or miss."""

    pictures: list[Piece]
    source: str
    cache: str
    request_id: str

    @property
    def data(self) -> bytes:
        """The picture, where there is one. Raises ImgflowError where steps cut it into several, or publish none."""
        if len(self.pictures) != 1 or not self.pictures[0].data:
            count = sum(bool(piece.data) for piece in self.pictures)
            raise ImgflowError(f"the steps gave {count} pictures", "they are in .pictures, each with its name")
        return self.pictures[0].data

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file. Raises ImgflowError as ``data``, OSError."""
        target = Path(path)
        target.write_bytes(self.data)
        return target


class Service:
    """An image service at a URL. Safe for any number of threads; a context that gives its connections back.

    ``url`` is IMGFLOW_SERVICE or this machine where none is given, ``key`` IMGFLOW_SERVICE_KEY. ``seconds`` is how long
    one picture may take, tries and all.
    """

    def __init__(self, url: str = "", *, key: str = "", seconds: float = 60.0) -> None:
        self.url = (url or os.environ.get(URL) or HERE).rstrip("/")
        if urlsplit(self.url).scheme not in {"http", "https"}:
            raise ImgflowError(f"{self.url!r} is not where a service is", f"a service is at a URL such as {HERE}")
        self._key = key or os.environ.get(KEY, "")
        if self._key:
            conceal(self._key)
        self._seconds = seconds
        import urllib3  # noqa: PLC0415 - importing imgflow shall cost nothing that is not used

        self._pool = urllib3.PoolManager(maxsize=16, retries=False)

    def __enter__(self) -> Self:
        """The service itself."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._pool.clear()

    def process(self, image: bytes | str | os.PathLike[str], **wishes: Any) -> Processed:
        """A picture as the service was started to make it, or as ``wishes`` say.

        ``image`` is the picture's bytes, its file, or a URL that the service may fetch. Wishes are the parameters of
        ``POST /v1/images``: ``steps="scale:50%,blur:median"``, ``width=640``, ``grayscale=False``, ``format="png"``,
        ``pipeline={…}``. Asks again while the service is busy or cannot be reached, as long as there is time.
        Raises ImgflowError with what the service says; ``code`` of the error tells whether it is the picture's fault.
        """
        body, headers = _body(image)
        given = {name: _text(value) for name, value in wishes.items() if value is not None}
        target = f"{self.url}/v1/images" + (f"?{urlencode(given)}" if given else "")
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}".encode().decode("latin-1")  # what HTTP makes bytes of
        return _read(self._ask(target, body, headers))

    def _ask(self, target: str, body: bytes, headers: dict[str, str]) -> BaseHTTPResponse:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - as above

        ends = time.monotonic() + self._seconds
        for wait in (*WAITS, None):
            left = ends - time.monotonic()
            told = {**headers, "X-Timeout": f"{max(left, 0.001):.3f}"}
            try:
                answer = self._pool.request("POST", target, body=body, headers=told, timeout=left + 1)
            except HTTPError as error:
                if wait is None or time.monotonic() + wait > ends:
                    raise self._unreachable(error) from error
                time.sleep(wait)
                continue
            if answer.status == 200:  # noqa: PLR2004 - the one status that brings a picture
                return answer
            pause = min(LONGEST, _pause(answer) or wait or 0.0)
            if answer.status not in AGAIN or wait is None or time.monotonic() + pause > ends:
                raise _refused(answer)
            time.sleep(pause)
        raise AssertionError

    def _unreachable(self, error: Exception) -> ImgflowError:
        hint = "`imgflow serve` starts one here; --url or IMGFLOW_SERVICE says where another is"
        return ImgflowError(f"the service at {self.url} cannot be reached: {error}", hint, ExitCode.UNREACHABLE)


def _pause(answer: BaseHTTPResponse) -> float:
    """Seconds that an answer asks to wait, as a number or as a date; 0 where it does not say."""
    from urllib3 import Retry  # noqa: PLC0415 - as above
    from urllib3.exceptions import InvalidHeader  # noqa: PLC0415 - as above

    try:
        return Retry().get_retry_after(answer) or 0.0
    except InvalidHeader:
        return 0.0


def _body(image: bytes | str | os.PathLike[str]) -> tuple[bytes, dict[str, str]]:
    if isinstance(image, bytes):
        return image, {"Content-Type": "application/octet-stream"}
    if isinstance(image, str) and "://" in image:
        return json.dumps({"url": image}).encode(), {"Content-Type": "application/json"}
    try:
        return Path(image).read_bytes(), {"Content-Type": "application/octet-stream"}
    except OSError as error:
        raise ImgflowError(f"{os.fspath(image)} cannot be read: {error.strerror}") from error


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, Mapping) else str(value)


def _read(answer: BaseHTTPResponse) -> Processed:
    kind = answer.headers.get("Content-Type", "")
    if kind.startswith("multipart/"):
        message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.data, policy=HTTP)
        pieces = [
            _piece(bytes(part.get_payload(decode=True)), part.get_filename() or "", part)
            for part in message.iter_parts()
        ]
    elif kind.startswith("application/json"):
        pieces = [
            Piece(b"", told["width"], told["height"], told["piece"], told["found"])
            for told in answer.json()["pictures"]
        ]
    else:
        pieces = [_piece(answer.data, "", answer.headers)]
    told = answer.headers
    return Processed(
        pieces, told.get("X-Imgflow-Source", ""), told.get("X-Imgflow-Cache", ""), told.get("X-Request-Id", "")
    )


def _piece(data: bytes, name: str, headers: Any) -> Piece:
    width, _, height = headers.get("X-Imgflow-Result", "0x0").partition("x")
    found = headers.get("X-Imgflow-Found")
    return Piece(data, int(width), int(height), name.rpartition(".")[0], json.loads(found) if found else {})


def _refused(answer: BaseHTTPResponse) -> ImgflowError:
    """What the service says, as what a person is told."""
    try:
        said = answer.json()
        message, code = f"{said['code']}: {said['detail']}", said["code"]
    except (ValueError, KeyError, TypeError):
        return ImgflowError(f"the service answers {answer.status}, and not in its own words", "is it one?")
    hints = HINTS | {
        "unauthorized": f"--key or {KEY} gives the key",
        "busy": "send it again a little later",
        "timeout": "--seconds gives it longer, as far as the service allows",
    }
    server = answer.status >= 500  # noqa: PLR2004 - what is not the picture's fault
    return ImgflowError(message, hints.get(code, ""), ExitCode.UNREACHABLE if server else ExitCode.FAILED)
