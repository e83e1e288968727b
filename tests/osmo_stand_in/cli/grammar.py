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
CREDENTIAL_NAME = r"[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?"
PRIORITIES = ("HIGH", "NORMAL", "LOW")
METHODS = ("pkce", "code", "password", "token", "dev")
UNDONE = ("app", "task", "token", "user")
"""Modules that exist and that nobody here needs: they take anything, and answer nothing."""


@functools.cache
def parser(version: Version) -> argparse.ArgumentParser:
    """The parser of that version; `args.run` names what to do."""
    top = argparse.ArgumentParser(prog="osmo", description="OSMO is a cloud based platform.")
    top.add_argument("--log-level", type=str, default="INFO")
    modules = top.add_subparsers(dest="module")
    _login(modules.add_parser("login"), version)
    modules.add_parser("logout").set_defaults(run="account.logout")
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


def _login(login: argparse.ArgumentParser, version: Version) -> None:
    login.add_argument("url", nargs="?")
    default = "pkce" if version >= (6, 4, 0) else "code"
    login.add_argument("--method", default=default, choices=METHODS if version >= (6, 4, 0) else METHODS[1:])
    login.add_argument("--username")
    for secret in ("password", "token"):
        login.add_argument(f"--{secret}")
        login.add_argument(f"--{secret}-file")
    login.set_defaults(run="account.login")


def _workflow(commands: Any, version: Version) -> None:
    main = version >= (6, 4, 0)
    submit = commands.add_parser("submit")
    submit.add_argument("workflow_file")
    _format(submit)
    _variables(submit, main, "--set-env")
    submit.add_argument("--dry-run", action="store_true", dest="dry")
    submit.add_argument("--pool", "-p")
    submit.add_argument("--rsync")
    submit.add_argument("--priority", type=str.upper, choices=PRIORITIES)
    submit.set_defaults(run="submit.submit", labels=[])
    validate = commands.add_parser("validate")
    validate.add_argument("workflow_file")
    _variables(validate, main)
    validate.add_argument("--pool", "-p")
    validate.set_defaults(run="submit.validate", labels=[])
    if main:
        for one in (submit, validate):
            one.add_argument("--label", action="append", dest="labels", metavar="KEY=VALUE")
    restart = commands.add_parser("restart")
    restart.add_argument("workflow_id")
    _format(restart)
    restart.add_argument("--pool", "-p")
    restart.set_defaults(run="submit.restart")
    _watching(commands, version)


def _variables(parser: argparse.ArgumentParser, main: bool, *more: str) -> None:
    for name in ("--set", "--set-string", *more):
        parser.add_argument(name, action="extend" if main else "store", nargs="+", default=[])


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
    many.add_argument("--submitted-after", type=_date)
    many.add_argument("--submitted-before", type=_date)
    many.add_argument("--tags", nargs="+")
    many.add_argument("--priority", type=str.upper, nargs="+", choices=PRIORITIES)
    many.set_defaults(run="observe.many", labels=[], no_labels=[], offset=0)
    if version >= (6, 4, 0):
        many.add_argument("--label", action="append", dest="labels", metavar="KEY=SELECTOR")
        many.add_argument("--no-label", action="append", dest="no_labels", metavar="KEY")
    users = many.add_mutually_exclusive_group()
    users.add_argument("--user", "-u", nargs="+", default=[])
    users.add_argument("--all-users", "-a", action="store_true")
    many.add_argument("--pool", "-p", nargs="+", default=[])
    many.add_argument("--app", "-P")


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
    listing, delete = commands.add_parser("list"), commands.add_parser("delete")
    for one in (listing, delete):
        one.add_argument("remote_uri", type=_place)
        one.add_argument("--regex", "-x", type=_regex)
    listing.add_argument("--prefix", "-p", default="")
    listing.add_argument("--recursive", "-r", action="store_true")
    output = listing.add_mutually_exclusive_group()
    output.add_argument("local_path", nargs="?")
    output.add_argument("--no-pager", action="store_true")
    check = commands.add_parser("check")
    check.add_argument("remote_uri", type=_profile_or_place)
    check.add_argument("--access-type", "-a", choices=("READ", "WRITE", "DELETE"))
    check.add_argument("--config-file", "-c")
    named = {"upload": upload, "download": download, "listing": listing, "delete": delete, "check": check}
    for name, one in named.items():
        one.set_defaults(run=f"data.{name}")


def _dataset(commands: Any) -> None:
    upload = commands.add_parser("upload")
    upload.add_argument("name")
    upload.add_argument("path", nargs="*", default=[])
    for flag in ("--desc", "--metadata", "--labels", "--regex"):
        upload.add_argument(flag, f"-{flag[2]}" if flag != "--regex" else "-x", nargs="+" if flag[2] in "ml" else None)
    upload.set_defaults(run="dataset.upload")
    for name in ("info", "download", "delete", "list"):
        one = commands.add_parser(name)
        one.add_argument("words", nargs="*")
        _format(one)
        one.set_defaults(run=f"dataset.{name}")


def _credential(commands: Any) -> None:
    put = commands.add_parser("set")
    put.add_argument("name", type=_credential_name)
    put.add_argument("--type", default="GENERIC", choices=("REGISTRY", "DATA", "GENERIC"))
    payload = put.add_mutually_exclusive_group(required=True)
    payload.add_argument("--payload", nargs="+")
    payload.add_argument("--payload-file", nargs="+")
    put.set_defaults(run="credential.put")
    commands.add_parser("list").set_defaults(run="credential.many")
    delete = commands.add_parser("delete")
    delete.add_argument("name", type=_credential_name)
    delete.set_defaults(run="credential.delete")


def _profile(commands: Any) -> None:
    shown, put = commands.add_parser("list"), commands.add_parser("set")
    _format(shown)
    shown.set_defaults(run="account.profile")
    put.add_argument("setting", choices=("notifications", "pool"))
    put.add_argument("value")
    put.set_defaults(run="account.set_profile")


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


def _date(given: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", given):
        raise argparse.ArgumentTypeError(f"Invalid date format: {given}. Use YYYY-MM-DD.")
    return given


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


def _profile_or_place(given: str) -> str:
    if re.fullmatch(r"(azure|s3|gs)://[^/,;*]+/*", given):
        return given
    try:
        return _place(given)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"Invalid storage credential path: {given}") from None


def _credential_name(given: str) -> str:
    if not re.fullmatch(CREDENTIAL_NAME, given):
        raise argparse.ArgumentTypeError(
            f"Invalid name: {given}. Names can only consist of letters, numbers, -, and _. "
            "The name must start with a letter."
        )
    return given
