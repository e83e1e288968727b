"""The options of the command, by its version."""

import argparse
import functools
import os
import re
from collections.abc import Callable
from typing import Any

from osmo_stand_in.cli.errors import OsmoError
from osmo_stand_in.config import Version
from osmo_stand_in.service.rows import STATUSES
from osmo_stand_in.service.rules import PLACES

Add = Callable[..., Any]
PRIORITIES = ("HIGH", "NORMAL", "LOW")
UNDONE = ("app", "login", "logout", "task", "token", "user")
UNDONE_OF_WORKFLOWS = ("exec", "port-forward", "restart", "rsync", "validate")
"""What exists and nobody here needs: it takes anything, and answers nothing."""


@functools.cache
def parser(version: Version) -> argparse.ArgumentParser:
    """The parser of that version; `args.run` names what to do."""
    top = argparse.ArgumentParser(prog="osmo", description="OSMO is a cloud based platform.")
    top.add_argument("--log-level", type=str, default="INFO")
    modules = top.add_subparsers(dest="module")
    told = modules.add_parser("version")
    _format(told)
    told.set_defaults(run="account.version")
    _workflow(_commands(modules.add_parser("workflow")), version)
    _data(_commands(modules.add_parser("data")))
    if version < (6, 4, 0):
        _dataset(_commands(modules.add_parser("dataset")))
    secrets = modules.add_parser("credential")
    _format(secrets, short=False)
    _credential(_commands(secrets))
    _profile(modules.add_parser("profile").add_subparsers(dest="command"))
    _pool(_commands(modules.add_parser("pool")))
    _resource(_commands(modules.add_parser("resource")))
    _config(_commands(modules.add_parser("config")))
    for name in (*UNDONE, *(("bucket",) if version < (6, 4, 0) else ())):
        modules.add_parser(name).set_defaults(run="account.undone")
    return top


def _commands(module: argparse.ArgumentParser) -> Any:
    commands = module.add_subparsers(dest="command")
    commands.required = True
    return commands


def _format(parser: argparse.ArgumentParser, short: bool = True) -> None:
    names = ("--format-type", "-t") if short else ("--format-type",)
    parser.add_argument(*names, dest="format_type", choices=("json", "text"), default="text")


def _workflow(commands: Any, version: Version) -> None:
    submit = commands.add_parser("submit")
    submit.add_argument("workflow_file")
    _format(submit)
    submit.add_argument("--pool", "-p")
    submit.add_argument("--priority", type=str.upper, choices=PRIORITIES)
    submit.set_defaults(run="submit.submit")
    for name in UNDONE_OF_WORKFLOWS:
        commands.add_parser(name).set_defaults(run="account.undone")
    _watching(commands, version)


def _watching(commands: Any, version: Version) -> None:
    logs = commands.add_parser("logs")
    streams = [logs, commands.add_parser("events")] if version >= (6, 2, 0) else [logs]
    for one in streams:
        one.add_argument("workflow_id")
        one.add_argument("--task", "-t")
        one.add_argument("--retry-id", "-r", type=int)
    logs.add_argument("--error", action="store_true")
    logs.add_argument("-n", dest="last_n_lines", type=int)
    logs.set_defaults(run="observe.logs")
    streams[-1].set_defaults(run="observe.events" if len(streams) > 1 else "observe.logs")
    cancel = commands.add_parser("cancel")
    cancel.add_argument("workflow_ids", nargs="+")
    cancel.add_argument("--message", "-m")
    cancel.add_argument("--force", "-f", action="store_true")
    _format(cancel)
    cancel.set_defaults(run="observe.cancel")
    query = commands.add_parser("query")
    query.add_argument("workflow_id")
    query.add_argument("--verbose", "-v", action="store_true")
    _format(query)
    query.set_defaults(run="observe.query")
    spec = commands.add_parser("spec")
    spec.add_argument("workflow_id")
    spec.add_argument("--template", action="store_true")
    spec.set_defaults(run="observe.spec")
    _list(commands.add_parser("list"), version)


def _list(many: argparse.ArgumentParser, version: Version) -> None:
    many.add_argument("--count", "-c", default=20, type=_positive)
    if version >= (6, 2, 0):
        many.add_argument("--offset", "-f", default=0, type=_not_negative)
    many.add_argument("--name", "-n")
    many.add_argument("--order", "-o", default="asc", choices=("asc", "desc"))
    many.add_argument("--status", "-s", choices=STATUSES, nargs="+", metavar="STATUS")
    _format(many)
    many.set_defaults(run="observe.many", offset=0)
    many.add_argument("--pool", "-p", nargs="+", default=[])


def _data(commands: Any) -> None:
    upload, download = commands.add_parser("upload"), commands.add_parser("download")
    upload.add_argument("remote_uri", type=_place)
    upload.add_argument("local_path", nargs="+")
    download.add_argument("remote_uri", type=_place)
    download.add_argument("local_path", type=_existing)
    download.add_argument("--resume", "-r", action="store_true")
    for one in (upload, download):
        one.add_argument("--regex", "-x", type=_regex)
        one.add_argument("--processes", "-p")
        one.add_argument("--threads", "-T")
        one.add_argument("--benchmark-out", "-b")
    listing = commands.add_parser("list")
    listing.add_argument("remote_uri", type=_place)
    listing.add_argument("--regex", "-x", type=_regex)
    listing.add_argument("--prefix", "-p", default="")
    listing.add_argument("--recursive", "-r", action="store_true")
    output = listing.add_mutually_exclusive_group()
    output.add_argument("local_path", nargs="?")
    output.add_argument("--no-pager", action="store_true")
    for name, one in {"upload": upload, "download": download, "listing": listing}.items():
        one.set_defaults(run=f"data.{name}")
    for name in ("check", "delete"):
        commands.add_parser(name).set_defaults(run="account.undone")


def _dataset(commands: Any) -> None:
    info = commands.add_parser("info")
    info.add_argument("name")
    _format(info)
    info.set_defaults(run="dataset.info")
    for name in ("upload", "download", "delete", "list"):
        commands.add_parser(name).set_defaults(run="account.undone")


def _credential(commands: Any) -> None:
    commands.add_parser("list").set_defaults(run="credential.many")
    for name in ("set", "delete"):
        commands.add_parser(name).set_defaults(run="account.undone")


def _profile(commands: Any) -> None:
    shown = commands.add_parser("list")
    _format(shown)
    shown.set_defaults(run="account.profile")
    commands.add_parser("set").set_defaults(run="account.undone")


def _pool(commands: Any) -> None:
    shown = commands.add_parser("list")
    shown.add_argument("--pool", "-p", nargs="+", default=[])
    _format(shown)
    shown.add_argument("--mode", "-m", choices=("free", "used"), default="used")
    shown.set_defaults(run="account.pools")


def _resource(commands: Any) -> None:
    shown = commands.add_parser("list")
    shown.add_argument("--pool", "-p", nargs="+", default=[])
    shown.add_argument("--platform", nargs="+", default=[])
    shown.add_argument("--all", "-a", action="store_true")
    _format(shown)
    shown.add_argument("--mode", "-m", choices=("free", "used"), default="used")
    shown.set_defaults(run="account.resources")
    commands.add_parser("info").set_defaults(run="account.undone")


def _config(commands: Any) -> None:
    shown = commands.add_parser("show")
    shown.add_argument("config", metavar="config_type")
    shown.add_argument("names", nargs="*")
    shown.set_defaults(run="configs.show")
    for name in ("list", "update", "delete", "history", "rollback", "set", "tag", "diff"):
        commands.add_parser(name).set_defaults(run="account.undone")


def _positive(given: str) -> int:
    if int(given) <= 0:
        raise argparse.ArgumentTypeError("The value should be greater than zero.")
    return int(given)


def _not_negative(given: str) -> int:
    if int(given) < 0:
        raise argparse.ArgumentTypeError("The value should be greater than or equal to zero.")
    return int(given)


def _regex(given: str) -> str:
    try:
        re.compile(given)
    except re.error:
        raise argparse.ArgumentTypeError(f"Invalid regex: {given}") from None
    return given


def _place(given: str) -> str:
    if not any(place.fullmatch(given) for place in PLACES.values()):
        raise argparse.ArgumentTypeError(f"Invalid storage path: {given}")
    return given


def _existing(given: str) -> str:
    """Nothing catches what this raises: a traceback, and exit 1."""
    if not os.path.exists(given):
        raise OsmoError(f"{os.path.abspath(given)} is not a valid path")
    return given
