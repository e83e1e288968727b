"""Rules of `command` about the packages of its program, on the submit side."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.source import LOCAL_KIND
from robotrain.redaction import redact

from robotrain_workloads import code_rules
from robotrain_workloads.command import rules, script_facts
from robotrain_workloads.command.missing_module import SHIPPED_ENVIRONMENT, SHIPPED_MODULES

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


def check_environment(job: "Job") -> Iterator[Problem]:
    """Require that one thing at most says which packages the program has, and that each option has an effect."""
    values = dict(job.parameters)
    flags = [flag for name, flag in FLAGS.items() if values[name]]
    code = code_rules.find_code(job)
    if flags and not values["install"]:
        ways = (suggest_leaving_out(NO_INSTALL), suggest_leaving_out(*flags))
        yield _make_conflict(flags[0], f"with {NO_INSTALL}", "", ways)
    elif SHIPPED in flags and len(flags) > 1:
        ways = (suggest_leaving_out(*flags[1:]), suggest_leaving_out(SHIPPED))
        yield _make_conflict(flags[1], f"with {SHIPPED}", "That environment is complete as it is.", ways)
    elif flags and code is None and not {SHIPPED, REQUIREMENTS} & {*flags}:
        folder = Suggestion("--code FOLDER", "with a uv.lock or pyproject.toml")
        yield _make_conflict(flags[0], "without packages to install", "", (Suggestion(f"{REQUIREMENTS} FILE"), folder))
    if code and code.kind != LOCAL_KIND and values["install"] and not flags:
        ways = (Suggestion(f"{REQUIREMENTS} FILE"), Suggestion(NO_INSTALL, "if the image has its packages"))
        given_text = redact(code.uri)
        yield make_problem("packages-unknown", *ways, given=given_text)


def check_imports(job: "Job") -> Iterator[Problem]:
    """Warn of a script that imports what neither Python nor its folder has, in a job that installs no packages."""
    code = code_rules.find_code(job)
    if code is None or not job["install"] or job["shipped_environment"] or job["requirements"]:
        return
    root = Path(code.uri)
    if any((root / name).is_file() for name in script_facts.PROJECT_FILES):
        return
    script = rules.find_program_file(job)
    if not script.endswith(".py") or code.kind != LOCAL_KIND:
        return
    names = sorted(script_facts.find_missing_modules(root, script))
    if not names:
        return
    ways = [Suggestion(NO_INSTALL, "where its Python has them")]
    if {*names} & SHIPPED_MODULES:
        ways.insert(0, Suggestion(f"{SHIPPED} {SHIPPED_ENVIRONMENT}"))
    file = script_facts.REQUIREMENTS_FILE
    if (root / file).is_file():
        path = root / file if root != Path.cwd() else file
        ways.insert(0, Suggestion(f"{REQUIREMENTS} {shlex.quote(str(path))}"))
    elif len(ways) == 1:
        ways.insert(0, Suggestion(f"{REQUIREMENTS} FILE"))
    shown = f"{', '.join(names[:MAX_NAMES])}{' and others' if names[MAX_NAMES:] else ''}"
    yield make_problem("packages-missing", *ways, absent=("image",), script=redact(script), modules=shown)


MAX_NAMES = 3


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
