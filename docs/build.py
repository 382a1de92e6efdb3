#!/usr/bin/env python3
"""Build the site: the repository's own pages, with their links as they are, as HTML that needs no network.

make docs
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
BEGIN = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]


def gather(into: Path, root: Path) -> list[str]:
    """Copy every page that can be reached from the first ones, and every file that a page links to; their paths."""
    todo = [root / name for name in BEGIN if (root / name).exists()]
    seen: set[Path] = set()
    while todo:
        path = todo.pop()
        if path in seen or not path.is_file() or not path.is_relative_to(root):
            continue  # a link that leads nowhere is reported by mkdocs, with the page that has it
        seen.add(path)
        target = into / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        if path.suffix == ".md":
            todo += [(path.parent / link).resolve() for link in LINK.findall(path.read_text(encoding="utf-8"))]
    return sorted(path.relative_to(root).as_posix() for path in seen)


def build(site: Path, pages: Path) -> None:
    """The whole site; ends the program where a link leads nowhere or a page is in no part of it."""
    shutil.rmtree(pages, ignore_errors=True)
    gather(pages, ROOT)
    config = pages.with_name("mkdocs.yml")
    config.write_text((ROOT / "docs/mkdocs.yml").read_text(encoding="utf-8") + f"docs_dir: {pages}\n", encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", "--config-file", str(config)]
    command += ["--site-dir", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)


if __name__ == "__main__":
    build(ROOT / "build/site", ROOT / "build/pages")
    sys.stdout.write(f"{ROOT / 'build/site'}: python -m http.server --directory build/site\n")
