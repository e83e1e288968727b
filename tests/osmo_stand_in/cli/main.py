"""One call of the command."""

import argparse
import importlib
import json
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from osmo_stand_in import fault
from osmo_stand_in.cli import grammar
from osmo_stand_in.cli.client import Client
from osmo_stand_in.cli.errors import OsmoError, Unreachable
from osmo_stand_in.state import State


def main(folder: Path, argv: Sequence[str]) -> int:
    """The exit status. folder: of the stand-in."""
    state = State(folder / "state")
    state.append("calls.jsonl", json.dumps(list(argv)) + "\n")
    met = fault.take(state, argv)
    if met and met.form == "hang":
        time.sleep(met.seconds or 86400.0)
    if met and met.form == "answer":
        sys.stdout.write(met.stdout)
        sys.stderr.write(met.stderr)
        return met.code
    client = Client(state, met)
    parser = grammar.parser(client.numbers)
    try:
        args = parser.parse_args(list(argv))
    except OsmoError:
        traceback.print_exc()
        return 1
    if not hasattr(args, "run"):
        parser.print_help()
        return 0
    return _run(client, args)


def _run(client: Client, args: argparse.Namespace) -> int:
    module, _, name = args.run.rpartition(".")
    try:
        command = getattr(importlib.import_module(f"osmo_stand_in.cli.{module}"), name)
        return int(command(client, args) or 0)
    except OsmoError as error:
        return _tell(args, error.message, error.status, error.exit)
    except KeyboardInterrupt:
        return 3
    except Unreachable as error:
        return _tell(args, f"\nCannot connect to OSMO service, with error:\n{error}\n", None, 10)
    except json.JSONDecodeError as error:
        text = f"\nError decoding JSON: {error}\nOriginal text: {error.doc}\nTraceback: {traceback.format_exc()}\n\n"
        return _tell(args, text, None, 10)
    except Exception as error:
        return _tell(args, f"{error}\n{traceback.format_exc()}", None, 2)


def _tell(args: argparse.Namespace, message: str, status: int | None, code: int) -> int:
    """Errors go to stdout, in the form that was asked for."""
    if getattr(args, "format_type", "") == "json":
        print(json.dumps({"message": message, "code": status or 1}, indent=2))
    else:
        print("Error message:", message)
        print("Error code:", status or 1)
    return code


def script(tests: Path, folder: Path) -> str:
    """The text of the executable. tests: where this package lies."""
    there = [place for place in sys.path if place.endswith(("site-packages", "dist-packages"))]
    return (
        f"#!{sys.executable} -IS\n"
        f"import sys\nsys.path[:0] = [{str(tests)!r}]\nsys.path += {there!r}\n"
        "from pathlib import Path\nfrom osmo_stand_in.cli.main import main\n"
        f"sys.exit(main(Path({str(folder)!r}), sys.argv[1:]))\n"
    )
