"""The command line. `main` is the console script; nothing heavy is imported before the command is known."""

import gc
import sys


def main() -> None:
    """Run `robotrain`. `--version` alone answers without importing anything."""
    if sys.argv[1:] == ["--version"]:
        from robotrain import __version__

        sys.stdout.write(f"robotrain {__version__}\n")
        return
    gc.disable()  # most commands are over in a moment: collecting while modules load costs a twentieth of it
    try:
        from robotrain.cli.app import run_app

        run_app()
    except KeyboardInterrupt:
        sys.exit(130)  # while modules were loading: nothing was done yet
