"""On what the figures were taken: the machine, and the versions of everything that ran."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.measure import cores
from PIL import features

PACKAGES = ("imgflow", "Pillow", "numpy", "onnxruntime", "pyvips", "pyvips-binary", "opencv-python-headless")
COMMANDS = {"GNU parallel": "parallel", "vipsthumbnail": "vipsthumbnail", "ImageMagick": "convert"}
NUMBER = re.compile(r"\d+(?:\.\d+)*(?:-\d+)?")


def machine() -> dict[str, str | int]:
    """Processor, cores that may be used, memory in gigabytes, system and Python."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Packages, the codec inside Pillow, and commands; what is not there is left out."""
    found = {"libjpeg-turbo in Pillow": features.version("libjpeg_turbo") or ""}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for name, executable in COMMANDS.items():
        if path := shutil.which(executable):
            try:
                said = subprocess.run(
                    [path, "--version"], capture_output=True, text=True, check=False, timeout=10
                ).stdout
            except (OSError, ValueError, subprocess.TimeoutExpired):  # what has the name need not be the program
                continue
            found[name] = match.group() if (match := NUMBER.search(said)) else "unknown"
    return found


def _processor() -> str:
    try:
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    match = re.search(r"^model name\s*:\s*(.+)$", said, re.MULTILINE)
    return match.group(1) if match else platform.machine()
