"""The command line; nothing heavy is imported before the command is known."""

import atexit
import gc
import sys

from robotrain import __version__


def main() -> None:
    """Run the console script; `--version` alone imports nothing."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"robotrain {__version__}\n")
        return
    if sys.platform == "win32":
        sys.exit(
            "robotrain runs on Linux and macOS. On Windows, use WSL 2: https://learn.microsoft.com/windows/wsl/install"
        )
    gc.disable()  # most commands are short, and collecting while modules load takes 5 % of the time
    atexit.register(gc.freeze)  # what is left lives to the end of the process: looking for garbage takes another 10 %
    try:
        from robotrain.cli.app import run_app

        run_app()
    except KeyboardInterrupt:
        sys.exit(130)  # modules were loading: nothing was done yet
