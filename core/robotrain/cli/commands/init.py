"""`robotrain init`: write the first files of a project, or an example."""

import dataclasses
import json as json_format
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from robotrain.cli.arguments import JsonOption, argument, complete_platforms, complete_workloads, option
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.missing_plugins import load_named_plugin
from robotrain.cli.output import print_json, print_message, print_problems, print_result
from robotrain.config import starter_files
from robotrain.config.job_schema import make_job_schema
from robotrain.config.values import Origin
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.platform import Platform, PlatformDefault
from robotrain.model.workload import FoundInput, Workload
from robotrain.nearest_name import suggest_name
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.store.files import PROJECT_FILE, find_project_file, write_atomically
from robotrain.store.written_files import JOB_FILE, JOB_SCHEMA_FILE

make_problem = Messages(__file__)

Files = dict[str, bytes]
"""Contents by path below the folder."""
WORKLOAD_HELP = "What the job runs (default: the default workload)."
PLATFORM_HELP = "The platform of this project's jobs."
EXAMPLE_HELP = "Copy an example with its data to a new folder."
FILE_ENDINGS = (".yaml", ".yml", ".toml", ".py")
MAX_SHOWN = 3
"""How many of the files that exist already are named."""
HIDDEN = (".", "__pycache__")
"""How names of files begin that are not part of an example."""


def complete_examples(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of examples that begin like this."""
    return [name for name in list_examples(get_plugins(ctx)) if name.startswith(incomplete)]


def init(
    ctx: typer.Context,
    folder: Annotated[str, argument("[FOLDER]", "Where to write (default: this folder, or a new one NAME).")] = "",
    workload: Annotated[str, option("--workload", "NAME", WORKLOAD_HELP, complete_workloads)] = "",
    platform: Annotated[str, option("--platform", "NAME", PLATFORM_HELP, complete_platforms)] = "",
    example: Annotated[str, option("--example", "NAME", EXAMPLE_HELP, complete_examples)] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the files; write nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Write a job.yaml and a robotrain.toml from what this machine has: datasets, and settings of platforms.

    robotrain init

    robotrain init --example pusht-mini

    Inputs are looked for below the folder and in the cache of the workload's own tools. Existing files are replaced
    only with --force.
    """
    plugins = get_plugins(ctx)
    if platform:
        load_named_plugin(plugins, "platform", platform, Origin("flag", "--platform"))
    if example:
        if workload:
            raise Rejected([make_problem("usage.example", option="--workload")])
        target = Path(folder or example)
        files = read_example(plugins, example, folder or example)
        init_data: dict[str, Any] = {"example": example}
    else:
        target = Path(folder)
        if target.is_file() or (target.suffix in FILE_ENDINGS and not target.exists()):
            raise Rejected([make_problem("value-invalid.init-folder", given=folder)])
        files, init_data = make_files(plugins, target, workload, platform)
    print_problems(failure.make_problem(severity="warning") for failure in plugins.failures.values())
    files_to_keep = _find_files_to_keep(target, files, force)
    files_to_write = {name: file_bytes for name, file_bytes in files.items() if name not in files_to_keep}
    if not dry_run:
        for name, file_bytes in files_to_write.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically((target / name).absolute(), file_bytes)
    paths = [os.path.join(folder or example, name) for name in files_to_write]
    main_file = os.path.join(folder or example, JOB_FILE)
    submit_line = format_submit_line(main_file, choose_platform(plugins, platform))
    init_data |= {
        "folder": str(target.absolute()),
        "files": paths,
        "kept": files_to_keep,
        "dry_run": dry_run,
        "next": submit_line,
    }
    texts_by_file = {
        name: file_bytes.decode() for name, file_bytes in files_to_write.items() if name.endswith((".yaml", ".toml"))
    }
    if json:
        print_json(init_data | ({"texts": texts_by_file} if dry_run else {}))
        return
    if dry_run and not example:
        for name, file_text in texts_by_file.items():
            print_result(f"==> {name} <==\n{file_text}")
    print_message("\n".join(_describe_answer(init_data)))


def _describe_answer(init_data: Mapping[str, Any]) -> Iterable[str]:
    inputs = {job_input["role"]: job_input for job_input in reversed(init_data.get("inputs", ()))}
    for role, job_input in inputs.items():
        more_count = sum(job_input["role"] == role for job_input in init_data["inputs"]) - 1
        more_note = f" (and {more_count} more, as comments)" if more_count else ""
        yield f"found {role} {job_input['text']}: {job_input['summary']}{more_note}"
    for platform, settings in init_data.get("settings", {}).items():
        if settings_text := ", ".join(f"{name} {value}" for name, value in settings.items()):
            yield f"found settings of {platform}: {settings_text}"
    if init_data.get("missing"):
        yield f"found no {' and no '.join(init_data['missing'])}"
    files, example = init_data["files"], init_data.get("example")
    written_names = f"the example {example} to {init_data['folder']}" if example else ", ".join(files)
    yield f"{'would write' if init_data['dry_run'] else 'wrote'} {written_names}"
    if not init_data.get("missing"):
        yield f"next: {init_data['next']}"
        return
    yield f"next: add the {' and the '.join(init_data['missing'])} to {JOB_FILE}, then {init_data['next']}"
    for example in init_data["examples"]:
        yield f"or start with an example and its data: robotrain init --example {example}"


def list_examples(plugins: Plugins) -> dict[str, Path]:
    """Return the folders of all examples by name."""
    example_folders: dict[str, Path] = {}
    for workload in plugins.workloads().values():
        example_folders = {**workload.template.examples, **example_folders}
    return dict(sorted(example_folders.items()))


def _find_inputs(plugins: Plugins, workload: Workload | None, folder: Path) -> tuple[FoundInput, ...]:
    """Return the inputs that jobs in a folder could use."""
    return tuple(workload.template.find_inputs(folder.absolute())) if workload else ()


def read_example(plugins: Plugins, name: str, folder: str) -> Files:
    """Return the files of an example, with commands for the folder. Raise Rejected if there is none of this name."""
    example_folders = list_examples(plugins)
    if name not in example_folders:
        example_suggestions = suggest_name(name, example_folders, prefix="robotrain init --example ")
        examples = ", ".join(example_folders) or "none"
        raise Rejected([make_problem("value-unknown.example", *example_suggestions, name=redact(name), known=examples)])
    root, files = example_folders[name], {}
    for parent, folders, filenames in os.walk(root):
        folders[:] = sorted(subfolder for subfolder in folders if not subfolder.startswith(HIDDEN))
        for path in (Path(parent, filename) for filename in sorted(filenames) if not filename.startswith(HIDDEN)):
            file_bytes = path.read_bytes()
            is_text = path.suffix in (".yaml", ".md")
            files[path.relative_to(root).as_posix()] = (
                starter_files.replace_example_paths(file_bytes, name, folder) if is_text else file_bytes
            )
    return files


def make_files(plugins: Plugins, folder: Path, workload_name: str, platform: str) -> tuple[Files, dict[str, Any]]:
    """Return the files of a project, and what was found, as data."""
    name = workload_name or plugins.default_workload()
    workload = load_named_plugin(plugins, "workload", name, Origin("flag", "--workload"))
    inputs = _find_inputs(plugins, workload, folder)
    kinds = plugins.source_kinds()
    if not workload_name:
        workload, inputs = _prefer_program(plugins, workload, inputs, folder)
    platforms = plugins.platforms()
    settings = _find_settings(platforms, platform)
    line_platform = choose_platform(plugins, platform or (next(iter(platforms)) if len(platforms) == 1 else ""))
    default = line_platform if line_platform in platforms else ""
    submit_line = format_submit_line(JOB_FILE, line_platform)
    files = {
        JOB_FILE: starter_files.format_job_file(workload, inputs, kinds, submit_line, JOB_SCHEMA_FILE).encode(),
        PROJECT_FILE: starter_files.format_project_file(default, platforms, settings).encode(),
        JOB_SCHEMA_FILE: _dump_schema(make_job_schema, plugins),
    }
    return files, {
        "workload": workload.name,
        "inputs": [
            {"role": job_input.role, "kind": job_input.kind, "text": job_input.text, "summary": job_input.summary}
            for job_input in inputs
        ],
        "settings": {
            platform_name: {key: setting.value for key, setting in defaults.items() if setting.value}
            for platform_name, defaults in settings.items()
        },
        "examples": sorted(workload.template.examples),
        "missing": _list_missing(workload, inputs),
    }


def _list_missing(workload: Workload, inputs: tuple[FoundInput, ...]) -> list[str]:
    """Return the inputs that a job of the workload needs and that were not found."""
    roles = starter_files.choose_inputs(workload, inputs)
    missing = [role for role, rule in workload.roles.items() if rule.required and role not in roles]
    has_command = any(job_input.arguments for job_input in inputs)
    return [*missing, *(["command"] if workload.own_command and not has_command else [])]


def _prefer_program(
    plugins: Plugins, default: Workload, inputs: tuple[FoundInput, ...], folder: Path
) -> tuple[Workload, tuple[FoundInput, ...]]:
    """Return the workload that runs the program which a folder is about, with its inputs; else the default one."""
    for workload in plugins.workloads().values():
        own_inputs = _find_inputs(plugins, workload, folder) if workload.own_command else ()
        if any(job_input.arguments for job_input in own_inputs):
            return workload, own_inputs
    return default, inputs


def _find_settings(platforms: Mapping[str, Platform], chosen_platform: str) -> dict[str, Mapping[str, PlatformDefault]]:
    """Return what each platform suggests; nothing of another platform than the chosen one that has found nothing."""
    settings_by_platform = {}
    for name, platform in platforms.items():
        if not chosen_platform or name == chosen_platform:
            try:
                suggested_settings = dict(platform.engine.suggest_settings())
            except Rejected as rejected:
                print_problems(dataclasses.replace(problem, severity="warning") for problem in rejected.problems)
                suggested_settings = {}
            if name == chosen_platform or any(setting.value for setting in suggested_settings.values()):
                settings_by_platform[name] = suggested_settings
    return {name: settings for name, settings in settings_by_platform.items() if settings}


def _dump_schema(make_schema: Callable[..., Any], plugins: Plugins) -> bytes:
    schema = make_schema(
        plugins.workloads().values(), plugins.platforms().values(), plugins.source_kinds(), plugins.default_workload()
    )
    return (json_format.dumps(schema, indent=1) + "\n").encode()


def _find_files_to_keep(target: Path, files: Files, force: bool) -> list[str]:
    """Return the files that stay as they are: a schema, and the settings of a project above.

    Raise Rejected for others that exist.
    """
    existing_files = [name for name in files if os.path.lexists(target / name)]
    files_to_keep = [name for name in existing_files if name == JOB_SCHEMA_FILE and not force]
    nearest = next(ancestor for ancestor in (target.absolute(), *target.absolute().parents) if ancestor.is_dir())
    if PROJECT_FILE in files and PROJECT_FILE not in existing_files and find_project_file(nearest):
        files_to_keep.append(PROJECT_FILE)  # that of a folder above
    refused_files = [os.path.normpath(target / name) for name in existing_files if name not in files_to_keep]
    if refused_files and not force:
        where = ", ".join(refused_files[:MAX_SHOWN]) + (", …" if len(refused_files) > MAX_SHOWN else "")
        raise Rejected([make_problem("file-in-use", where=where)])
    return files_to_keep


def choose_platform(plugins: Plugins, chosen_platform: str) -> str:
    """Return the platform of the line to type next: the chosen one, else one that runs jobs on this machine."""
    local_platforms = (
        name for name, platform in plugins.platforms().items() if platform.capabilities.feature("runs_here")
    )
    return chosen_platform or next(local_platforms, "PLATFORM")


def format_submit_line(file: str, platform: str) -> str:
    """Return the line that submits a job."""
    return f"robotrain submit {shlex.quote(file)} --platform {platform} --wait"


app = make_app(init)
