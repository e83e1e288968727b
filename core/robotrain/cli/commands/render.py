"""`robotrain render`: print a plan or write it to a folder. Only `--pin` uses the network."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.arguments import check_place, parse_count
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.job_command import JobCommand, make_job_command
from robotrain.cli.options import ComposedOptions
from robotrain.cli.output import print_json, print_message, print_other_views, print_problems, print_result
from robotrain.errors import Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.model.plan import RenderedPlan
from robotrain.plugins.manager import Plugins
from robotrain.store import plans
from robotrain.submission.prepare import PreparedJob

if TYPE_CHECKING:
    from robotrain.pipelines.prepare import PreparedPipeline

make_problem = Messages(__file__)

HELP = """Render the plan that `submit` would send; with --pin exactly that one. Nothing is sent.

  robotrain render job.yaml --platform PLATFORM

  robotrain render --platform PLATFORM --dataset-path ./my-dataset --pin --to plan/

  robotrain submit --plan plan/          submits it unchanged
"""

MAX_ATTEMPT = 999_999
MAX_LINE, SHORTENED_LINE = 4000, 60
"""The longest line that is printed whole, and how much is printed of a longer one, in characters."""


class RenderCommand(JobCommand):
    """The command that renders a plan."""

    purpose = "render"
    can_evaluate = True
    shows_jobs_of_workload = True

    def add_own_options(self, options: ComposedOptions) -> None:
        """Add the options for the folder, the attempt, pins and JSON."""
        options.add_own("--to", help="write all files of the plan to this folder", metavar="DIR", common=True)
        options.add_own("--attempt", help="the attempt to name the run by  [default: 1]", metavar="N")
        pin = "resolve branches, tags and folders to commits and digests now, and pin them in the plan"
        options.add_own("--pin", help=pin, common=True)
        options.add_own("--json", help="print JSON")

    def run_prepared(self, ctx: typer.Context, prepared: PreparedJob, values: dict[str, Any]) -> None:
        """Print the plan, or write it to a folder."""
        if values.get("pin"):
            from robotrain.submission import pinned_job, queried_settings

            prepared, notes = pinned_job.pin_strictly(prepared)
            prepared, silence_problems = queried_settings.fill_settings(
                prepared, queried_settings.query_settings(prepared)
            )
            raise_if_any(silence_problems)
            print_problems([*notes, *silence_problems])
        elif prepared.needs_lock:
            from robotrain.submission import program_lock

            prepared = program_lock.add_known_lock(prepared)
        self._write_plan(ctx, prepared, values)

    def run_pipeline(self, ctx: typer.Context, prepared: "PreparedPipeline", values: dict[str, Any]) -> None:
        """Print the plan of a job and its evaluation, or write it to a folder."""
        from robotrain.cli.pipeline_preview import describe_driver

        if values.get("pin"):
            from robotrain.pipelines.prepare import pin_pipeline

            pinned, pin_problems = pin_pipeline(prepared, say=print_message)
            raise_if_any(pin_problems)
            prepared = replace(pinned, warnings=(*prepared.warnings, *pin_problems))
        print_problems(describe_driver(prepared))
        self._write_plan(ctx, prepared, values)

    def _write_plan(self, ctx: typer.Context, prepared: PreparedJob, values: dict[str, Any]) -> None:
        rendered_plan = prepared.render(parse_count(values.get("attempt"), "--attempt", most=MAX_ATTEMPT) or 1)
        print_problems(prepared.warnings)
        show_plan(ctx, rendered_plan, values.get("to") or "", bool(values.get("json")))


def show_plan(ctx: typer.Context, rendered_plan: RenderedPlan, to: str, as_json: bool) -> None:
    """Print a plan, or write it to a folder."""
    plan = rendered_plan.plan
    if to:
        folder = Path(to)
        check_folder_is_free(folder)
        plans.write_plan_folder(rendered_plan, folder)
        print_message(f"wrote the plan of {plan.run} to {to} ({len(plan.files)} files, digest {plan.digest[:12]})")
        if not rendered_plan.steps and (added_files := write_package(get_plugins(ctx), rendered_plan, folder)):
            print_message(f"wrote {', '.join(added_files)} beside it")
    if as_json:
        print_json(dump_plan(plan))
    elif to:
        print_result(str(Path(to) / plan.spec))
    else:
        print_result(format_plan(plan))
        print_other_views("render")


def write_package(plugins: Plugins, rendered_plan: RenderedPlan, folder: Path) -> list[str]:
    """Write the files that the platform adds to a plan; return their paths. Raise OSError."""
    plan = rendered_plan.plan
    platform = plugins.platform(rendered_plan.plan.platform)
    files = dict(platform.plans.make_package(plan, dict(rendered_plan.settings), plugins.workload(plan.job.workload)))
    for path, file_bytes in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("xb") as file:  # never in place of a file of the plan
            file.write(file_bytes)
    return sorted(files)


def dump_plan(plan: Any) -> dict[str, Any]:
    """Return the plan as data: text files whole, others by size and digest."""
    files: dict[str, dict[str, Any]] = {}
    for path, file_bytes in sorted(plan.files.items()):
        files[path] = {"bytes": len(file_bytes), "sha256": hashlib.sha256(file_bytes).hexdigest()}
        if path in plan.shown:
            files[path]["text"] = file_bytes.decode()
    return {"run": plan.run, "platform": plan.platform, "digest": plan.digest, "spec": plan.spec, "files": files}


def format_plan(plan: Any) -> str:
    """Return the text files of the plan, and the names and sizes of the others; very long lines are cut."""
    parts = []
    for path in plan.shown:
        lines = [
            line if len(line) <= MAX_LINE else f"{line[:SHORTENED_LINE]}… ({len(line)} characters)"
            for line in plan.files[path].decode().rstrip().split("\n")
        ]
        parts.append("\n".join([f"# {path}", *lines]))
    other_files = [path for path in sorted(plan.files) if path not in plan.shown]
    return "\n\n".join([*parts, *(f"# {path}: {len(plan.files[path])} bytes" for path in other_files)])


def check_folder_is_free(folder: Path) -> None:
    """Raise Rejected if files of another plan may be in the folder that --to names, or it is not to be made."""
    check_place(folder, "--to")
    if (folder.is_dir() and any(folder.iterdir())) or folder.is_file():
        raise Rejected([make_problem("folder-in-use", given=str(folder))])


app = make_job_command("render", RenderCommand, HELP)
