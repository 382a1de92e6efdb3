# noqa: INP001 - a script beside what it writes, no package
"""Pin what developing needs, what builds it, and what the wheel requires: ``pyproject.toml`` bounds it.

    make lock

Development is resolved first and binds the other two. Each file holds for every Python and platform that the
project supports, and lists the hashes of all their wheels: x86_64 and aarch64, Linux and macOS.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "release/locks"
PYTHON = "3.11"  # the oldest; markers say what newer ones get
TWIN = "opencv-python"  # writes the same files as opencv-python-headless, which is what ships; some packages ask for it
WANTED = {
    "development": ("pyproject.toml", "--extra=demo", "--group=dev", "--group=faces"),
    "build": ("--group=build",),
    "wheel": ("pyproject.toml",),
}


def lock(name: str, *more: str) -> None:
    """Write one file; what it holds already stays unless ``--upgrade`` is given. Raises CalledProcessError."""
    bound = () if name == "development" else (f"--constraint={LOCKS / 'development.txt'}",)
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", *WANTED[name], *bound, *more),
        *(f"--output-file={LOCKS / name}.txt", "--universal", f"--python-version={PYTHON}"),
        *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--quiet"),
        f"--no-emit-package={TWIN}",
        "--custom-compile-command=make lock",
    ]
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    for each in WANTED:
        lock(each, *sys.argv[1:])
