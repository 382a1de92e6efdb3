#!/usr/bin/env python3
"""Take README's picture: what a terminal shows of ``imgflow process``, and the report of that run beside it.

``make picture``, or ``docs/picture.py PHOTOGRAPHS PICTURE``. Needs Chromium.
"""

from __future__ import annotations

import html
import io
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

COLUMNS, SIZE = 104, (1500, 1100)
COMMAND = ["imgflow", "process", "photos", "out", "--steps", "scale:1024x768,grayscale,infer"]
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{margin: 0; background: #d9dee3; font: 15px sans-serif; overflow: hidden}}
section {{position: absolute; border-radius: 10px; overflow: hidden; box-shadow: 0 6px 24px #0006}}
#terminal {{left: 24px; top: 24px; width: 960px; height: 500px; background: #0c1016; z-index: 2}}
#terminal pre {{margin: 18px 22px; font: 14.5px/1.5 monospace; color: #d9d9d9; white-space: pre-wrap}}
#report {{left: 330px; top: 440px; width: 1146px; height: 636px; background: white}}
iframe {{border: 0; width: 1146px; height: 2000px}}
</style><section id="report"><iframe src="{report}"></iframe></section>
<section id="terminal"><pre>{terminal}</pre></section>"""


def screen(command: list[str], folder: Path) -> str:
    """What a terminal shows once a command has ended, with its colours; lines that were drawn over are gone."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "IMGFLOW_STORE": ".imgflow"}
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # Linux's way of saying that the other side is closed
            break
        shown += data
    if code := process.wait():
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{shown.decode()}")
    return drawn(shown.decode())


def drawn(text: str) -> str:
    """The lines that stay, where a command moves up (``ESC[1A``) and clears a line (``ESC[2K``) to draw anew."""
    lines = [""]
    for part in re.split(r"(\r?\n|\r|\x1b\[1A|\x1b\[2K|\x1b\[\?25[lh])", text):
        if part in {"\n", "\r\n"}:
            lines.append("")
        elif part == "\x1b[1A":
            lines = lines[:-1] or [""]
        elif part == "\x1b[2K":
            lines[-1] = ""
        elif not part.startswith(("\r", "\x1b[?")):
            lines[-1] += part
    return "\n".join(line for line in lines if line)


def take(photographs: Path, picture: Path, chromium: str) -> None:
    """Run the command on some photographs, and photograph what it leaves."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "photos").symlink_to(photographs.resolve())
        text = screen([str(Path(sys.executable).with_name("imgflow")), *COMMAND[1:]], folder)
        [report] = (folder / ".imgflow/runs").glob("*/report/index.html")
        text = text.replace(f"{folder}/", "").replace(str(folder), "")
        (folder / "page.html").write_text(
            PAGE.format(report=report.as_uri(), terminal=coloured(text)), encoding="utf-8"
        )
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
        flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        flags += ["--blink-settings=preferredColorScheme=1", f"--user-data-dir={folder / 'profile'}"]
        flags += [f"--window-size={SIZE[0]},{SIZE[1]}", f"--screenshot={folder / 'shot.png'}"]
        subprocess.run(
            [chromium, *flags, (folder / "page.html").as_uri()], check=True, capture_output=True, timeout=120
        )
        picture.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(folder / "shot.png") as shot:
            shot.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(picture, optimize=True)


def coloured(text: str) -> str:
    """Text with a terminal's escapes as HTML."""
    console = Console(record=True, file=io.StringIO(), width=COLUMNS, force_terminal=True, color_system="256")
    console.print(Text.assemble(("$ ", "bold green"), " ".join(COMMAND)))
    console.print(Text.from_ansi(text))
    made = console.export_html(theme=SVG_EXPORT_THEME, inline_styles=True, code_format="{code}")
    return made if "<span" in made else html.escape(made)


if __name__ == "__main__":
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        raise SystemExit("docs/picture.py needs Chromium: apt-get install chromium")
    take(Path(sys.argv[1]), Path(sys.argv[2]), browser)
