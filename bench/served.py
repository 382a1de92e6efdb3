"""``python -m bench.served``: the image service as ``imgflow serve`` has it; prints its ports, ends on SIGTERM."""

from __future__ import annotations

import json
import signal
import sys
import threading

from imgflow_service import settings
from imgflow_service.together import together

if __name__ == "__main__":
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with together(settings.load()) as running:
        sys.stdout.write(json.dumps({"http": running.http, "metrics": running.metrics}) + "\n")
        sys.stdout.flush()
        ended.wait()
