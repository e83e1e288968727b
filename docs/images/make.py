"""The pictures of the documents, made again from what robotrain prints:

    ./uvw run python docs/images/make.py

Two trainings are watched on this machine and compared, and the parity matrix is printed. It needs tmux
and Chromium (Debian's packages `tmux` and `chromium`) and takes some minutes: the training environment should be there.
pusht-rollout.gif is not made here: it is the video of an evaluation.
"""

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
ROBOTRAIN = Path(sys.executable).with_name("robotrain")
FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""rich's frame of a terminal, without its fonts: they would be fetched from a host."""
LEARNING_RATES = {"base": "1e-4", "slower": "3e-5"}
QUIET = ["--hide-scrollbars", "--disable-background-networking", "--disable-gpu"]
CHROMIUM = ["chromium", "--headless", "--no-sandbox", *QUIET]


def main() -> None:
    """Write every picture."""
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        os.environ["ROBOTRAIN_STATE"] = f"{name}/state"
        run("init", "--example", "pusht-mini")
        for label, rate in LEARNING_RATES.items():
            run("submit", "pusht-mini/job.yaml", "--platform", "local", "--name", label, "--learning-rate", rate)
        for label in LEARNING_RATES:
            wait_for_step(label, 180)  # before the first checkpoint, whose folder is of this machine
        draw_terminal("watch.svg", "robotrain watch", capture("watch", columns=104, lines=30, seconds=5))
        run("wait", *LEARNING_RATES)
        run("report", *LEARNING_RATES, "--to", "report.html")
        take_screenshot("report.html", "report.png")
        draw_terminal("platforms.svg", "robotrain platforms", capture("platforms", columns=84, lines=28, seconds=10))


def run(*words: str) -> str:
    """Run a command of robotrain to its end; what it prints."""
    return subprocess.run([ROBOTRAIN, *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def wait_for_step(name: str, step: int) -> None:
    """Wait until a run is at a step, so that its curve has a shape."""
    while (json.loads(run("status", name, "--json"))["step"] or 0) < step:
        time.sleep(1)


def capture(command: str, *, columns: int, lines: int, seconds: float) -> str:
    """Return the first lines that a terminal shows of a command after so many seconds, with their colors."""
    tmux = ["tmux", "-L", f"pictures-{os.getpid()}"]
    shell = f"{shlex.join([str(ROBOTRAIN), command])}; sleep 1000"
    subprocess.run([*tmux, "new-session", "-d", "-x", str(columns), "-y", "40", shell], check=True)
    try:
        time.sleep(seconds)
        shown = subprocess.run(
            [*tmux, "capture-pane", "-e", "-p", "-S", "-"], capture_output=True, text=True, check=True
        )
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    return "\n".join(shown.stdout.splitlines()[:lines])


def draw_terminal(name: str, title: str, text: str) -> None:
    """Write a picture of a terminal."""
    lines = Text.from_ansi(text.rstrip())
    console = Console(record=True, width=max(line.cell_len for line in lines.split()), file=io.StringIO())
    console.print(lines)
    HERE.joinpath(name).write_text(console.export_svg(title=title, code_format=FORMAT))


def take_screenshot(page: str, name: str) -> None:
    """Write a picture of the upper part of a page."""
    where = [f"--screenshot={HERE / name}", "--window-size=1100,1080", Path(page).absolute().as_uri()]
    subprocess.run([*CHROMIUM, f"--user-data-dir={Path('chromium').absolute()}", *where], check=True)


if __name__ == "__main__":
    main()
