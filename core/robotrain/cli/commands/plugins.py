"""`robotrain plugins`: what is installed, and the package of a new plugin."""

import os
import shlex
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from robotrain.cli import unknown_option
from robotrain.cli.arguments import JsonOption, argument, option
from robotrain.cli.command_factory import format_help, get_plugins, make_app, make_plain_app
from robotrain.cli.output import dump_suggestions, format_table, print_json, print_message, print_problems, print_result
from robotrain.config.plugin_package import MAX_NAME, NewPlugin, is_valid_name
from robotrain.errors import Rejected, raise_if_any
from robotrain.installation import format_development_commands
from robotrain.messages import Messages
from robotrain.plugins import plugin_warnings
from robotrain.plugins.discovery import Claim, list_built_in_distributions
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact

make_problem = Messages(__file__)


def list_plugins(ctx: typer.Context, json: JsonOption = False) -> None:
    """List the installed plugins when no command is given."""
    if ctx.invoked_subcommand:
        return
    installed = _load_plugins(ctx)
    _print_plugins(installed, json)
    if not json:
        print_problems(failure.make_problem(severity="warning") for failure in installed.failures.values())


def check(ctx: typer.Context, json: JsonOption = False) -> None:
    """Check that every installed plugin loads, and that it declares flags and values correctly.

    robotrain plugins check

    A plugin that fails makes the exit code 1. What a plugin does is tested by its conformance kit.
    """
    installed = _load_plugins(ctx)
    raise_if_any(failure.make_problem() for failure in installed.failures.values())
    _print_plugins(installed, json)


def _load_plugins(ctx: typer.Context) -> Plugins:
    """Load every plugin, and validate what it declares."""
    installed = get_plugins(ctx)
    installed.is_validating = True
    installed.load_all()
    return installed


def _print_plugins(installed: Plugins, json: bool) -> None:
    remarks = plugin_warnings.find_plugin_warnings(installed)
    rows = [_dump_claim(claim, installed, remarks.get(claim, ())) for claim in installed.claims]
    if json:
        print_json({"plugins": rows})
        return
    lines = [("CLAIM", "FROM", "MODULE", "STATE")]
    for row in rows:
        hooks = f": {', '.join(row['hooks']) or 'no hook'}" if "." not in row["claim"] else ""  # of a site plugin
        state = row["failure"] or "; ".join([f"ok{hooks}", *row["remarks"]])
        lines.append((row["claim"], row["distribution"], row["module"], state))
    print_result(format_table(lines))


def _dump_claim(claim: Claim, installed: Plugins, remarks: Sequence[str]) -> dict[str, Any]:
    """Return a claim as data; the keys are an API."""
    failure = installed.failures.get(claim)
    return {
        "claim": claim.dotted,
        "distribution": claim.distribution,
        "module": claim.value,
        "hooks": installed.list_hooks(claim),
        "failure": failure.reason if failure else None,
        "instead": dump_suggestions(failure.suggestions) if failure else [],
        "remarks": list(remarks),
    }


def new(
    ctx: typer.Context,
    family: Annotated[
        Literal["platform", "source", "workload"], argument("platform|source|workload", "What the plugin adds.")
    ],
    name: Annotated[str, argument("NAME", "Its name, such as my-cluster: the name that users will type.")],
    to: Annotated[str, option("--to", "DIR", "The folder to write; default: a new one, robotrain-NAME.")] = "",
    remote: Annotated[
        bool, typer.Option("--remote", help="A platform whose machines share no disk with this one.")
    ] = False,
    scheduler: Annotated[
        bool, typer.Option("--scheduler", help="A platform whose jobs a command sends, such as qsub or bsub.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write the package of a plugin that works: with its claim, a README, and a test that runs the conformance kit.

    robotrain plugins new platform my-cluster

    robotrain plugins new platform my-server --remote

    robotrain plugins new platform my-lsf --scheduler

    robotrain plugins new source lab-set --to ./plugins/lab-set

    Its comments say what to change. Existing files are never replaced.
    """
    if remote and scheduler:
        raise Rejected([make_problem("option-elsewhere.two-kinds", family=family, name=shlex.quote(redact(name)))])
    if (remote or scheduler) and family != "platform":
        flag = "--remote" if remote else "--scheduler"
        problem = make_problem(
            "option-elsewhere.platforms-only", where=flag, family=family, name=shlex.quote(redact(name))
        )
        raise Rejected([problem])
    plugin = NewPlugin(family, name, remote, scheduler)
    _reject_name(plugin, get_plugins(ctx))
    folder = Path(to or plugin.distribution)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise Rejected([make_problem("file-in-use.folder", folder=folder)])
    files = plugin.make_files()
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    paths = [os.path.join(folder, path) for path in files]
    next_line = f"cd {shlex.quote(str(folder))} && {format_development_commands()}"
    if json:
        answer = {"claim": plugin.claim, "distribution": plugin.distribution, "folder": str(folder.absolute())}
        print_json({**answer, "files": paths, "next": next_line})
        return
    print_message(f"wrote {plugin.distribution} to {folder} ({len(files)} files), which claims {plugin.claim}")
    print_message(f"next: {next_line}")


def _reject_name(plugin: NewPlugin, installed: Plugins) -> None:
    """Raise Rejected for a name that is malformed, that an installed plugin has, or whose flag is another's."""
    if not is_valid_name(plugin.given):
        problem = make_problem(
            "value-invalid.plugin-name", name=redact(plugin.given), most=MAX_NAME, family=plugin.family
        )
        raise Rejected([problem])
    owners = [claim.distribution for claim in installed.list_claims(plugin.family, plugin.name)]
    if not owners and (plugin.distribution in list_built_in_distributions() or find_spec(plugin.package)):
        owners = [plugin.distribution]
    if owners:
        problem = make_problem(
            "plugin-name-taken.name", name=plugin.name, owners=owners[0], family=plugin.family, slug=plugin.slug
        )
        raise Rejected([problem])
    flag = plugin.flag
    if flag and (owner := unknown_option.find_flag_owner(flag, installed)):
        problem = make_problem(
            "plugin-name-taken.option",
            name=plugin.name,
            owner=owner,
            flag=flag,
            family=plugin.family,
            slug=plugin.slug,
        )
        raise Rejected([problem])


HELP = """List the installed plugins, what they provide, and why any failed to load; or write a new one.

robotrain plugins

robotrain plugins check

robotrain plugins new platform my-cluster
"""
group = make_app(check, new)
group.callback(invoke_without_command=True)(list_plugins)
app = make_plain_app()
app.add_typer(group, name="plugins", help=format_help(HELP))
app.callback()(lambda: None)
