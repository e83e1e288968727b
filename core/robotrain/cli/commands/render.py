"""`robotrain render`: the plan, to the terminal or a folder. Nothing is sent; a network is asked only with --pin."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.app import make_job_app
from robotrain.cli.job_command import CONTEXT_SETTINGS, JobCommand
from robotrain.cli.options import ComposedOptions, make_switch, make_text_option
from robotrain.cli.output import print_json, print_message, print_problems, print_result
from robotrain.errors import Problem, Rejected, Stage, Suggestion, raise_if_any
from robotrain.plugins.platform_guard import has_method

if TYPE_CHECKING:
    from robotrain.submission.prepare import PreparedJob

HELP = """Render the plan: exactly what `submit` would send.

  robotrain render examples/pusht-mini/job.yaml --platform PLATFORM

  robotrain render --platform PLATFORM --dataset-path ./my-dataset --pin --to plan/

  robotrain submit --plan plan/          sends it, byte for byte
"""

MAX_LINE, SHORTENED_LINE = 4000, 60
"""Characters of a line that is printed whole, and how many of a longer one."""
MAX_NAMED_SOURCES = 3
"""Sources that one note names."""


class RenderCommand(JobCommand):
    """Stops at the plan."""

    def add_own_options(self, options: ComposedOptions) -> None:
        """Where the plan goes, and which attempt it is for."""
        to = make_text_option("to", ("--to",), "write every file of the plan below this folder", "Options", "DIR")
        attempt = make_text_option(
            "attempt", ("--attempt",), "the attempt to name the run by  [default: 1]", "Options", "N"
        )
        options.add(to, ("--to",))
        options.add(attempt, ("--attempt",))
        pin = "ask what moving names mean now (a Hub revision, a folder), and pin them in the plan"
        options.add(make_switch("pin", ("--pin",), pin, "Options"), ("--pin",))
        options.add(make_switch("json", ("--json",), "print JSON", "Options"), ("--json",))

    def run_prepared(self, ctx: typer.Context, prepared: "PreparedJob", values: dict[str, Any]) -> None:
        """Print or write the plan."""
        from robotrain.store import plans

        if values.get("pin"):
            from robotrain.submission import pin

            prepared, silent = pin.query_platform_settings(
                prepared.with_job(pin.pin_job_strictly(prepared.job, prepared.kinds))
            )
            raise_if_any(silent)
            print_problems(silent)
        else:
            print_problems(_find_open_questions(prepared))
        rendered = prepared.render(_parse_attempt(values.get("attempt")))
        plan = rendered.plan
        print_problems(prepared.warnings)
        if values.get("to"):
            folder = Path(values["to"])
            _check_folder_is_free(folder)
            plans.write_plan_folder(rendered, folder)
            print_message(
                f"wrote the plan of {plan.run} to {folder} ({len(plan.files)} files, digest {plan.digest[:12]})"
            )
        if values.get("json"):
            print_json(dump_plan(plan))
        elif values.get("to"):
            print_result(str(Path(values["to"]) / plan.spec))
        else:
            print_result(format_plan(plan))


def _find_open_questions(prepared: "PreparedJob") -> list[Problem]:
    """That `submit` asks something first, and so may send another plan than this one."""
    from robotrain.redaction import redact

    kinds = prepared.kinds
    moving = [one.uri for one in prepared.job.sources if not one.pin and kinds[one.kind].pinning]
    asks = [f"what {prepared.platform.name} tells"] if has_method(prepared.platform, "query_settings") else []
    if not asks and not moving:
        return []
    named = redact(
        ", ".join(
            [
                *moving[:MAX_NAMED_SOURCES],
                *([f"{len(moving) - MAX_NAMED_SOURCES} more"] if moving[MAX_NAMED_SOURCES:] else []),
                *asks,
            ]
        )
    )
    return [
        Problem(
            code="not-asked",
            stage=Stage.CHECK,
            title="`submit` asks first, and sends what it is told",
            given=named,  # not in the title: with the `@` of a revision it would read as a user with a password
            severity="note",
            suggestions=(Suggestion("--pin", "asks now: the plan is what is sent"),),
        )
    ]


def dump_plan(plan: Any) -> dict[str, Any]:
    """The plan as data: text files whole, others by size and digest."""
    return {
        "run": plan.run,
        "platform": plan.platform,
        "digest": plan.digest,
        "spec": plan.spec,
        "files": {
            path: _dump_file(content, path in plan.shown) for path, content in sorted(plan.files.items())
        },
    }


def format_plan(plan: Any) -> str:
    """The files worth reading, each under its name, and what else travels. Of a line that no person reads, an archive
    as text, the beginning; `--to` and `--json` give all of it.
    """
    parts = [f"# {path}\n{_shorten_lines(plan.files[path].decode().rstrip())}" for path in plan.shown]
    others = [
        f"# {path}: {len(content)} bytes"
        for path, content in sorted(plan.files.items())
        if path not in plan.shown
    ]
    return "\n\n".join([*parts, *others])


def _shorten_lines(text: str) -> str:
    return "\n".join(map(_shorten_line, text.split("\n")))


def _shorten_line(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[:SHORTENED_LINE]}… ({len(line)} characters)"


def _dump_file(content: bytes, shown: bool) -> dict[str, Any]:
    body = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return body | ({"text": content.decode()} if shown else {})


def _parse_attempt(text: str | None) -> int:
    if text is None:
        return 1
    if text.isdecimal() and len(text) < 7 and int(text) > 0:
        return int(text)
    title = "--attempt takes a whole number greater than 0"
    raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title, where="--attempt")])


def _check_folder_is_free(folder: Path) -> None:
    if (folder.is_dir() and any(folder.iterdir())) or folder.is_file():
        problem = Problem(
            code="folder-in-use",
            stage=Stage.USAGE,
            title="the folder for the plan is not empty",
            where="--to",
            given=str(folder),
            why="Files of another plan beside these would make it unclear what is sent.",
            suggestions=(Suggestion("--to NEW_FOLDER"),),
        )
        raise Rejected([problem])


app = make_job_app("render", RenderCommand, HELP, CONTEXT_SETTINGS)
