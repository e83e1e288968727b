"""Rules of `command` about its program, on the submit side: its syntax, and the packages that it imports."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.source import LOCAL_KIND
from robotrain.redaction import redact

from robotrain_workloads import code_rules
from robotrain_workloads.command import program_files, rules, script_facts
from robotrain_workloads.command.rules import find_script

if TYPE_CHECKING:
    from robotrain.model.job import Job

make_problem = Messages(__file__)

NO_INSTALL, SHIPPED, REQUIREMENTS = "--no-install", "--shipped-environment", "--requirements"
RUNNERS = ("uv", "poetry", "pdm", "pipenv", "pixi", "hatch")
"""Package managers whose `run` builds an environment first."""
FLAGS = {
    "shipped_environment": SHIPPED,
    "requirements": REQUIREMENTS,
    "python_version": "--python-version",
    "allow_builds": "--allow-builds",
}
MAX_TEXT = 80


def check_environment(job: "Job") -> Iterator[Problem]:
    """Require that one thing at most says which packages the program has, and that each option has an effect."""
    parameters = dict(job.parameters)
    flags = [flag for name, flag in FLAGS.items() if parameters[name]]
    code = code_rules.find_code(job)
    if flags and not parameters["install"]:
        ways = (suggest_leaving_out(NO_INSTALL), suggest_leaving_out(*flags))
        yield _make_conflict(flags[0], f"with {NO_INSTALL}", "", ways)
    elif SHIPPED in flags and len(flags) > 1:
        ways = (suggest_leaving_out(*flags[1:]), suggest_leaving_out(SHIPPED))
        yield _make_conflict(flags[1], f"with {SHIPPED}", "That environment is complete as it is.", ways)
    if code and code.kind != LOCAL_KIND and parameters["install"] and not flags:
        ways = (Suggestion(f"{REQUIREMENTS} FILE"), Suggestion(NO_INSTALL, "if the image has its packages"))
        uri_text = redact(code.uri)
        yield make_problem("packages-unknown", *ways, given=uri_text)


def check_imports(job: "Job") -> Iterator[Problem]:
    """Warn of a script that imports what neither Python nor its folder has, in a job that installs no packages."""
    program = rules.find_script(job)
    if program is None or not _has_no_packages(job, program[0]):
        return
    root, script = program
    if modules := program_files.find_missing_modules(root, script):
        ways, modules_text = _suggest_packages(modules), _join_names(modules)
        yield make_problem("packages-missing", *ways, absent=("image",), script=redact(script), modules=modules_text)


def _has_no_packages(job: "Job", root: Path) -> bool:
    """Return whether the job installs packages, and none for the program."""
    is_project = any((root / name).is_file() for name in script_facts.PROJECT_FILES)
    return job["install"] and not (is_project or job["shipped_environment"] or job["requirements"])


def _suggest_packages(missing_modules: Sequence[str]) -> list[Suggestion]:
    """Return what gives a program the modules that it lacks."""
    is_shipped = not script_facts.SHIPPED_MODULES.isdisjoint(missing_modules)
    shipped = [Suggestion(f"{SHIPPED} {script_facts.SHIPPED_ENVIRONMENT}")] if is_shipped else []
    return [Suggestion(f"{REQUIREMENTS} FILE"), *shipped, Suggestion(NO_INSTALL, "where its Python has them")]


def _join_names(names: Sequence[str]) -> str:
    return f"{', '.join(names[:MAX_NAMES])}{' and others' if names[MAX_NAMES:] else ''}"


MAX_NAMES = 10


def check_runner(job: "Job") -> Iterator[Problem]:
    """Warn of a command that a package manager would run in an environment of its own."""
    words = job.trainer_args
    if tuple(words[1:2]) != ("run",) or words[0] not in RUNNERS or not job["install"]:
        return
    program = next(iter(words[2:]), "")
    start = f"python {redact(program)} …" if program.endswith(".py") else "PROGRAM ARGUMENTS"
    ways = (Suggestion(f"-- {start}"), Suggestion(NO_INSTALL, f"if the image has {words[0]} and the packages"))
    yield make_problem("packages-twice", *ways, words=words[0])


def _make_conflict(flag: str, when: str, reason: str, ways: tuple[Suggestion, ...]) -> Problem:
    return make_problem("option-without-effect.packages", *ways, where=flag, when=when, why=reason)


def check_syntax(job: "Job") -> Iterator[Problem]:
    """Refuse a script that this Python cannot read; warn where the job has another one."""
    if (script := find_script(job)) is None:
        return
    folder, name = script
    if fault := program_files.read_syntax(folder / name)[1]:
        is_here = job["install"] and not job["python_version"] and not job["shipped_environment"]
        yield make_problem(
            "program-unreadable",
            where=f"{redact(name)}:{fault.lineno}",
            given=(fault.text or "").strip()[:MAX_TEXT],
            reason=fault.msg,
            minor=sys.version_info[1],
            severity="error" if is_here else "warning",
        )
