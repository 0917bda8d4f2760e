"""Draw what a terminal shows while ``karaoke split`` works, and after: ``terminal.svg``.

The command runs for real, in a pseudo-terminal; the picture shows two moments of what it wrote.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COMMAND = "karaoke split tests/data/song.mp3"
COLUMNS, ROWS = 80, 24
#: Between the two windows, in units of the picture.
GAP = 16
#: What moves the cursor, erases or hides, of all that Rich's progress bar writes.
CONTROL = re.compile(r"(\r|\n|\x1b\[2K|\x1b\[\d+A|\x1b\[\?25[lh])")
#: One window, as Rich draws it, but with the fonts of whoever looks at it.
WINDOW = """\
<svg x="0" y="{y}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{
  font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font: bold 18px Arial, "DejaVu Sans", sans-serif; }}
{styles}
</style>
<defs>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>"""


def record(command: str) -> str:
    """Run a command of karaoke on the song, in a terminal, and give all that it wrote there.

    Raises
    ------
    RuntimeError
        It failed.
    """
    arguments = [sys.executable, "-m", "karaoke", *shlex.split(command)[1:]]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tests" / "data" / "song.mp3"
        copy.parent.mkdir(parents=True)
        shutil.copy(HERE / "song.mp3", copy)
        # Nothing that was set by whoever draws may show.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("KARAOKE_")}
        size = {"COLUMNS": str(COLUMNS), "LINES": str(ROWS), "TERM": "xterm-256color"}
        sought = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
        environment = {**kept, **size, "XDG_CONFIG_HOME": folder, "PYTHONPATH": sought}
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(folder)
            os.execve(sys.executable, arguments, environment)
        written = b"".join(iter(lambda: read(terminal), b""))
        _, status = os.waitpid(child, 0)
    if status != 0:
        raise RuntimeError(f"{command} failed: {written.decode()}")
    return written.decode()


def read(terminal: int) -> bytes:
    """Read what is there; nothing at the end, which Linux reports as an error."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


def screens(written: str) -> Iterator[list[str]]:
    """Give what stands on the screen before each erasure, and at the end, line by line.

    Raises
    ------
    ValueError
        Something else than colours and what ``CONTROL`` knows was written.
    """
    lines, row = [""], 0
    for part in CONTROL.split(written):
        if part == "\n":
            row += 1
            lines += [""] * (row - len(lines) + 1)
        elif part == "\x1b[2K":
            yield list(lines)
            lines[row] = ""
        elif part.endswith("A") and CONTROL.fullmatch(part):
            row -= int(part[2:-1])
        elif not CONTROL.fullmatch(part):
            if "\x1b" in re.sub(r"\x1b\[[\d;]*m", "", part):
                raise ValueError(f"cannot be drawn: {part!r}")
            lines[row] += part
    yield lines


def percentage(lines: list[str]) -> int:
    """Tell how far the bar on a screen is; -1 if there is none."""
    found = re.search(r"(\d+) %", Text.from_ansi("\n".join(lines)).plain)
    return int(found[1]) if found else -1


def draw(title: str, lines: list[str], y: float) -> tuple[str, float, float]:
    """Draw a window with the command and a screen: SVG, width and height."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), highlight=False)
    console.print(Text.assemble(("$ ", "bold green"), (COMMAND, "bold")))
    console.print(Text.from_ansi("\n".join(lines).rstrip("\n")))
    # Rich fills in everything but where the window stands.
    form = WINDOW.replace("{y}", f"{y:.0f}")
    svg = console.export_svg(title=title, code_format=form, unique_id=re.sub(r"\W", "-", title))
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert box is not None
    return svg, float(box[1]), float(box[2])


def main() -> None:
    """Run the command and draw two moments of it: the last that shows it at work, and the end."""
    *before, after = screens(record(COMMAND))
    working = [lines for lines in before if 0 < percentage(lines) < 100][-1]
    first, width, height = draw("while it works", working, 0)
    second, _, more = draw("when it is done", after, height + GAP)
    total = height + GAP + more
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {total:.1f}">\n'
        f"<title>{COMMAND}, in a terminal</title>\n{first}\n{second}\n</svg>\n"
    )
    # Rich indents what it leaves empty.
    tidy = "\n".join(line.strip() for line in picture.splitlines() if line.strip())
    (HERE / "terminal.svg").write_text(tidy + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
