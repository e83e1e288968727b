"""`robotrain render`: the plan, to the terminal or a folder. Nothing is sent; a network is asked only with --pin."""

import hashlib
from pathlib import Path
from typing import Any

import typer

from robotrain.cli.job.compose import SETTINGS, switch, text_option
from robotrain.cli.job.job_command import JobCommand
from robotrain.cli.job.options import Options
from robotrain.cli.made import make_job_app
from robotrain.cli.output import report, say, show, show_json
from robotrain.problem import Instead, Problem, Rejected, Stage, raise_if_any

HELP = """Render the plan: exactly what `submit` would send.

  robotrain render examples/pusht-mini/job.yaml --platform PLATFORM

  robotrain render --platform PLATFORM --dataset-path ./my-dataset --pin --to plan/

  robotrain submit --plan plan/          sends it, byte for byte
"""

LONGEST, BEGINNING = 4000, 60
"""Characters of a line that is printed whole, and how many of a longer one."""
NAMED = 3
"""Sources that one note names."""


class RenderCommand(JobCommand):
    """Stops at the plan."""

    def own_options(self, options: Options) -> None:
        """Where the plan goes, and which attempt it is for."""
        to = text_option("to", ("--to",), "write every file of the plan below this folder", "Options", "DIR")
        attempt = text_option("attempt", ("--attempt",), "the attempt to name the run by  [default: 1]", "Options", "N")
        options.add(to, ("--to",))
        options.add(attempt, ("--attempt",))
        pin = "ask what moving names mean now (a Hub revision, a folder), and pin them in the plan"
        options.add(switch("pin", ("--pin",), pin, "Options"), ("--pin",))
        options.add(switch("json", ("--json",), "print JSON", "Options"), ("--json",))

    def perform(self, ctx: typer.Context, prepared: Any, given: dict[str, Any]) -> None:
        """Print or write the plan."""
        from robotrain import plan_folder

        if given.get("pin"):
            from robotrain import pin, settings_asked

            prepared, silent = settings_asked.asked(prepared.with_job(pin.settled(prepared.job, prepared.kinds)))
            raise_if_any(silent)
            report(silent)
        else:
            report(_open(prepared))
        rendered = prepared.rendered(_attempt(given.get("attempt")))
        plan = rendered.plan
        report(prepared.remarks)
        if given.get("to"):
            folder = Path(given["to"])
            _must_be_free(folder)
            plan_folder.write(rendered, folder)
            say(f"wrote the plan of {plan.run} to {folder} ({len(plan.files)} files, digest {plan.digest[:12]})")
        if given.get("json"):
            show_json(plan_json(plan))
        elif given.get("to"):
            show(str(Path(given["to"]) / plan.spec))
        else:
            show(plan_text(plan))


def _open(prepared: Any) -> list[Problem]:
    """That `submit` asks something first, and so may send another plan than this one."""
    from robotrain.redaction import redact

    kinds = prepared.kinds
    moving = [one.uri for one in prepared.job.sources if not one.pin and kinds[one.kind].pinning]
    asks = [f"what {prepared.platform.name} tells"] if hasattr(prepared.platform, "asked") else []
    if not asks and not moving:
        return []
    named = redact(", ".join([*moving[:NAMED], *([f"{len(moving) - NAMED} more"] if moving[NAMED:] else []), *asks]))
    return [
        Problem(
            code="not-asked",
            stage=Stage.CHECK,
            title="`submit` asks first, and sends what it is told",
            given=named,  # not in the title: with the `@` of a revision it would read as a user with a password
            severity="note",
            instead=(Instead("--pin", "asks now: the plan is what is sent"),),
        )
    ]


def plan_json(plan: Any) -> dict[str, Any]:
    """The plan as data: text files whole, others by size and digest."""
    return {
        "run": plan.run,
        "platform": plan.platform,
        "digest": plan.digest,
        "spec": plan.spec,
        "files": {path: _file_json(content, path in plan.shown) for path, content in sorted(plan.files.items())},
    }


def plan_text(plan: Any) -> str:
    """The files worth reading, each under its name, and what else travels. Of a line that no person reads, an archive
    as text, the beginning; `--to` and `--json` give all of it.
    """
    parts = [f"# {path}\n{_readable(plan.files[path].decode().rstrip())}" for path in plan.shown]
    others = [
        f"# {path}: {len(content)} bytes" for path, content in sorted(plan.files.items()) if path not in plan.shown
    ]
    return "\n\n".join([*parts, *others])


def _readable(text: str) -> str:
    return "\n".join(map(_shortened, text.split("\n")))


def _shortened(line: str) -> str:
    return line if len(line) <= LONGEST else f"{line[:BEGINNING]}… ({len(line)} characters)"


def _file_json(content: bytes, shown: bool) -> dict[str, Any]:
    body = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return body | ({"text": content.decode()} if shown else {})


def _attempt(text: str | None) -> int:
    if text is None:
        return 1
    if text.isdecimal() and len(text) < 7 and int(text) > 0:
        return int(text)
    title = "--attempt takes a whole number greater than 0"
    raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title, where="--attempt")])


def _must_be_free(folder: Path) -> None:
    if (folder.is_dir() and any(folder.iterdir())) or folder.is_file():
        problem = Problem(
            code="folder-in-use",
            stage=Stage.USAGE,
            title="the folder for the plan is not empty",
            where="--to",
            given=str(folder),
            why="Files of another plan beside these would make it unclear what is sent.",
            instead=(Instead("--to NEW_FOLDER"),),
        )
        raise Rejected([problem])


app = make_job_app("render", RenderCommand, HELP, SETTINGS)
