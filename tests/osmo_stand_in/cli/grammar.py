"""The commands that robotrain uses, with their options, by the version of the command. Others are usage errors."""

import argparse
import functools
import os
from typing import Any

from osmo_stand_in.cli.errors import OsmoError
from osmo_stand_in.config import Version
from osmo_stand_in.service.rules import PLACES


@functools.cache
def parser(version: Version) -> argparse.ArgumentParser:
    """The parser of that version; `args.run` names what to do."""
    top = argparse.ArgumentParser(prog="osmo", description="OSMO is a cloud based platform.")
    modules = top.add_subparsers(dest="module")
    of_version = modules.add_parser("version")
    _format(of_version)
    of_version.set_defaults(run="account.version")
    _workflow(_commands(modules.add_parser("workflow")), version)
    _data(_commands(modules.add_parser("data")))
    if version < (6, 4, 0):
        info = _commands(modules.add_parser("dataset")).add_parser("info")
        info.add_argument("name")
        _format(info)
        info.set_defaults(run="data.info")
    secrets = modules.add_parser("credential")
    _format(secrets, short=False)
    _commands(secrets).add_parser("list").set_defaults(run="account.credentials")
    for module, run in {"profile": "profile", "pool": "pools", "resource": "resources"}.items():
        shown = _commands(modules.add_parser(module)).add_parser("list")
        _format(shown)
        shown.set_defaults(run=f"account.{run}")
    shown.add_argument("--pool", "-p", nargs="+", default=[])
    shown = _commands(modules.add_parser("config")).add_parser("show")
    shown.add_argument("config", metavar="config_type")
    shown.add_argument("names", nargs="*")
    shown.set_defaults(run="account.config")
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
    submit.add_argument("--priority", type=str.upper, choices=("HIGH", "NORMAL", "LOW"))
    submit.set_defaults(run="submit.submit")
    logs = commands.add_parser("logs")
    streams = [logs, commands.add_parser("events")] if version >= (6, 2, 0) else [logs]
    for one in streams:
        one.add_argument("workflow_id")
        one.add_argument("--task", "-t")
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
    spec.set_defaults(run="observe.spec")
    many = commands.add_parser("list")
    many.add_argument("--count", "-c", default=20, type=int)
    if version >= (6, 2, 0):
        many.add_argument("--offset", "-f", default=0, type=int)
    many.add_argument("--name", "-n")
    many.add_argument("--order", "-o", default="asc", choices=("asc", "desc"))
    _format(many)
    many.set_defaults(run="observe.many", offset=0)


def _data(commands: Any) -> None:
    upload, download = commands.add_parser("upload"), commands.add_parser("download")
    upload.add_argument("remote_uri", type=_place)
    upload.add_argument("local_path", nargs="+")
    download.add_argument("remote_uri", type=_place)
    download.add_argument("local_path", type=_existing)
    for one in (upload, download):
        one.add_argument("--regex", "-x")
    listing = commands.add_parser("list")
    listing.add_argument("remote_uri", type=_place)
    listing.add_argument("--recursive", "-r", action="store_true")
    listing.add_argument("--no-pager", action="store_true")
    for name, one in {"upload": upload, "download": download, "listing": listing}.items():
        one.set_defaults(run=f"data.{name}")


def _place(given: str) -> str:
    if not any(place.fullmatch(given) for place in PLACES.values()):
        raise argparse.ArgumentTypeError(f"Invalid storage path: {given}")
    return given


def _existing(given: str) -> str:
    """Nothing catches what this raises: a traceback, and exit 1."""
    if not os.path.exists(given):
        raise OsmoError(f"{os.path.abspath(given)} is not a valid path")
    return given
