"""Chromium, headless, asked over WebDriver as a person would use it."""

from __future__ import annotations

import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.services import SECONDS

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how WebDriver calls a reference to an element


class Browser:
    """Chromium, asked over WebDriver."""

    def __init__(self, driver: str, width: int, dark: bool) -> None:
        self._client = httpx.Client(base_url=driver, timeout=SECONDS, trust_env=False)
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"]
        flags += ["--force-dark-mode"] if dark else []
        options = {
            "args": flags,
            "mobileEmulation": {"deviceMetrics": {"width": width, "height": 900, "pixelRatio": 1}},
        }
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        self._at = "/session/" + self._said(self._client.post("/session", json=wanted))["sessionId"]

    def _said(self, answer: httpx.Response) -> Any:
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value

    def open(self, url: str) -> None:
        self._said(self._client.post(f"{self._at}/url", json={"url": url}))

    def run(self, script: str, *arguments: object) -> Any:
        told = {"script": script, "args": list(arguments)}
        return self._said(self._client.post(f"{self._at}/execute/sync", json=told))

    def _element(self, selector: str) -> str:
        asked = {"using": "css selector", "value": selector}
        return str(self._said(self._client.post(f"{self._at}/element", json=asked))[ELEMENT])

    def type(self, selector: str, text: str) -> None:
        self._said(self._client.post(f"{self._at}/element/{self._element(selector)}/value", json={"text": text}))

    def enter(self, selector: str) -> None:
        """From here on scripts are about the document in this frame."""
        self._said(self._client.post(f"{self._at}/frame", json={"id": {ELEMENT: self._element(selector)}}))

    def until(self, script: str, *arguments: object) -> None:
        ends = time.monotonic() + SECONDS
        while not self.run(f"return Boolean({script})", *arguments):
            assert time.monotonic() < ends, script
            time.sleep(0.1)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(b64decode(self._said(self._client.get(f"{self._at}/screenshot"))))

    def close(self) -> None:
        self._client.delete(self._at)
        self._client.close()


@contextmanager
def driver() -> Iterator[str]:
    """A chromedriver that works, or a skip that says so."""
    try:
        process = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
    except OSError:
        pytest.skip("chromedriver does not work here; Debian has it as chromium-driver")
    assert process.stdout
    try:
        line = next((line for line in process.stdout if "started successfully on port" in line), "")
        port = line.rstrip(".\n").rpartition(" ")[2]
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
    process.stdout.close()
