"""The command line. `main` is the console script; nothing heavy is imported before the command is known."""

import sys


def main() -> None:
    """Run `robotrain`. `--version` alone answers without importing anything."""
    if sys.argv[1:] == ["--version"]:
        from robotrain import __version__

        print(f"robotrain {__version__}")
        return
    from robotrain.cli.app import run

    run()
