"""An API and one processor on this machine, as processes of their own, until they are asked to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from imgflow_service.settings import ServiceSettings, environment_of
from imgflow_steps.contract.job import LIFELINE

WATCH = 0.2  # seconds between two looks at the processes


class EndedError(Exception):
    """A process of the service ended by itself; the message says which, and what it said last."""


@dataclass(frozen=True, slots=True)
class Running:
    """The service as it runs: where it listens."""

    http: int
    grpc: int
    metrics: int
    watch: Callable[[], None]


@contextmanager
def together(settings: ServiceSettings) -> Iterator[Running]:
    """Start both, and end them in order: first the front. Raises EndedError when one does not start.

    ``watch`` of what is given waits until one ends by itself, and raises EndedError then.
    """
    alone = settings.processor.model_copy(update={"host": "127.0.0.1", "port": 0, "http_port": 0, "metrics_port": 0})
    with _process("processor", environment_of(settings.model_copy(update={"processor": alone}))) as (processor, behind):
        own = settings.api.model_copy(update={"processors": f"127.0.0.1:{behind['grpc']}"})
        with _process("api", environment_of(settings.model_copy(update={"api": own}))) as (front, ports):

            def watch() -> None:
                ended = threading.Event()
                while not ended.wait(WATCH):
                    for name, process in (("processor", processor), ("api", front)):
                        if process.poll() is not None:
                            raise EndedError(f"the {name} ended by itself, with exit code {process.returncode}")

            yield Running(ports["http"], ports["grpc"], ports["metrics"], watch)


@contextmanager
def _process(part: str, environment: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    with subprocess.Popen(  # noqa: S603 - this very Python, and a module of ours
        [sys.executable, "-m", f"imgflow_service.{part}"],
        env={**os.environ, **environment, LIFELINE: "1"},
        stdin=subprocess.PIPE,  # the system closes it when this process ends, however it does
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for whoever started both, who ends them in order
    ) as process:
        assert process.stdout  # noqa: S101 - narrows the type: it was asked for
        try:
            line = process.stdout.readline()
            if not line:
                raise EndedError(f"the {part} does not start; its message above says why")
            yield process, json.loads(line)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
