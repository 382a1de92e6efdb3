"""The process that works through jobs, where what it is made of ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_process_whose_celery_ended_by_itself_ends_too_and_says_so(tmp_path: Path) -> None:
    start = "import sys; from celery.worker import WorkController; WorkController.start = lambda self: None; "
    start += "from imgflow_service.jobs.__main__ import main; sys.exit(main())"
    where = {"IMGFLOW_SERVE_JOBS_BROKER": "redis://127.0.0.1:1/0", "IMGFLOW_STORE": str(tmp_path)}
    where |= {"IMGFLOW_SERVE_API_HOST": "127.0.0.1", "IMGFLOW_SERVE_API_METRICS_PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", start],
        env={**os.environ, **where},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 1
    assert "celery ended by itself" in done.stderr
