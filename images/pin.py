# noqa: INP001 - a script beside what it writes, no package
"""Pin what each container holds: every ``requirements.in`` names it, ``pyproject.toml`` bounds it.

    make pins

The widest container is resolved first and binds the others, so that one step never sees another
version than its neighbour; so does the widest of the service's, for what only these hold. The notebook
holds the project whole, with its extras, and `cuda` what `fused` holds, with an ONNX Runtime for NVIDIA
cards. Hashes of all wheels of a version are listed: x86_64 and aarch64 alike.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

IMAGES = Path(__file__).parent
PYTHON = "3.13"  # of the containers
WIDEST = ("fused", "api")  # each binds those behind it


def bounds() -> dict[str, str]:
    """The project's own requirements, the service's and SQL's, by normalised name, as ``pyproject.toml`` says."""
    project = tomllib.loads((IMAGES.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    every = (*project["dependencies"], *extras["serve"], *extras["query"])
    return {name(requirement): requirement for requirement in every}


def name(requirement: str) -> str:
    """``Pillow>=12`` gives ``pillow``."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def wanted(container: str) -> str:
    """What a container holds, a requirement a line."""
    bound = bounds()
    return "\n".join(bound[name(one)] for one in (IMAGES / container / "requirements.in").read_text().split())


def with_card(requirements: str) -> str:
    """The same with the ONNX Runtime of that version for NVIDIA cards, and NVIDIA's own libraries for it."""
    [version] = re.findall(r"^onnxruntime==([^ \\]+)", (IMAGES / "fused/requirements.txt").read_text(), re.MULTILINE)
    theirs = f"onnxruntime-gpu[cuda,cudnn]=={version}"
    return "\n".join(theirs if name(one) == "onnxruntime" else one for one in requirements.splitlines())


def pin(container: str, *what: str, told: str = "") -> None:
    """Write the container's ``requirements.txt``; what it holds already stays unless ``--upgrade`` is given.

    ``what`` is as for uv: a project with extras, or ``-`` for the requirements that it is ``told``.
    """
    before = WIDEST[: WIDEST.index(container)] if container in WIDEST else WIDEST
    constraints = [f"--constraint={IMAGES / one / 'requirements.txt'}" for one in before]
    subprocess.run(  # noqa: S603 - the arguments are this file's own
        [
            *(sys.executable, "-m", "uv", "pip", "compile", *what, *sys.argv[1:], *constraints),
            *(f"--output-file={IMAGES / container / 'requirements.txt'}", f"--python-version={PYTHON}"),
            *("--python-platform=linux", "--only-binary=:all:", "--generate-hashes", "--no-emit-index-url"),
            *("--no-annotate", "--custom-compile-command=make pins", "--quiet"),
        ],
        input=told,
        text=True,
        check=True,
    )


if __name__ == "__main__":
    containers = sorted(path.parent.name for path in IMAGES.glob("*/requirements.in"))
    for each in [*WIDEST, *(one for one in containers if one not in WIDEST)]:
        pin(each, "-", told=wanted(each))
    pin("cuda", "-", told=with_card(wanted("fused")))
    pin("notebook", str(IMAGES.parent / "pyproject.toml"), "--extra=notebook", "--extra=demo")
