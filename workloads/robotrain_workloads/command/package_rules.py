"""Rules of `command` about the packages of its program, on the submit side."""

import dataclasses
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Stage, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.source import LOCAL_KIND
from robotrain.nearest_name import find_nearest_name, is_misspelling
from robotrain.redaction import redact
from robotrain_runtime.contract.files import read_limited_file
from robotrain_runtime.contract.parameter import load_pairs

from robotrain_workloads import code_rules
from robotrain_workloads.command import program_files, program_packages, rules, script_facts
from robotrain_workloads.command.missing_module import SHIPPED_ENVIRONMENT, SHIPPED_MODULES
from robotrain_workloads.command.module_names import (
    INSTALLED_AS,
    USUAL_MODULES,
    comes_from,
    find_meant_module,
    simplify,
)

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
    parameters = dict(job.parameters)
    flags = [flag for name, flag in FLAGS.items() if parameters[name]]
    code = code_rules.find_code(job)
    if flags and not parameters["install"]:
        ways = (suggest_leaving_out(NO_INSTALL), suggest_leaving_out(*flags))
        yield _make_conflict(flags[0], f"with {NO_INSTALL}", "", ways)
    elif SHIPPED in flags and len(flags) > 1:
        ways = (suggest_leaving_out(*flags[1:]), suggest_leaving_out(SHIPPED))
        yield _make_conflict(flags[1], f"with {SHIPPED}", "That environment is complete as it is.", ways)
    elif flags and code is None and not {SHIPPED, REQUIREMENTS} & {*flags}:
        folder = Suggestion("--code FOLDER", "with a uv.lock or pyproject.toml")
        yield _make_conflict(flags[0], "without packages to install", "", (Suggestion(f"{REQUIREMENTS} FILE"), folder))
    if code and code.kind != LOCAL_KIND and parameters["install"] and not flags:
        ways = (Suggestion(f"{REQUIREMENTS} FILE"), Suggestion(NO_INSTALL, "if the image has its packages"))
        uri_text = redact(code.uri)
        yield make_problem("packages-unknown", *ways, given=uri_text)


def check_imports(job: "Job") -> Iterator[Problem]:
    """Refuse a script with a misspelt import; warn of one that imports what neither Python nor its folder has, in a job
    that installs no packages.
    """
    program = _find_program(job)
    if program is None:
        return
    root, script = program
    misspelt_modules = _find_misspelt(job, root, script)
    for module, (meant_module, import_place) in misspelt_modules.items():
        yield make_problem(
            "import-misspelt", where=redact(import_place), given=module, module=module, meant=meant_module
        )
    for missing_name in script_facts.find_missing_names(root, script):
        yield _make_missing_name(missing_name)
    removed_modules = {
        module: import_place
        for module, import_place in _find_removed(job, root, script).items()
        if module not in misspelt_modules
    }
    for module, import_place in removed_modules.items():
        yield make_problem("import-removed", where=redact(import_place), given=module, module=module)
    misspelt_modules = {**misspelt_modules, **dict.fromkeys(removed_modules, ("", ""))}
    modules = script_facts.find_missing_modules(root, script) if _has_no_packages(job, root) else set[str]()
    if missing_modules := sorted(modules - misspelt_modules.keys()):
        ways = _suggest_packages(missing_modules, root)
        modules_text = _join_names(missing_modules)
        yield make_problem(
            "packages-missing",
            *ways,
            absent=("image",),
            script=redact(script),
            modules=modules_text,
            hint=_describe_similar_modules(missing_modules),
        )


def check_imports_here(job: "Job") -> Iterator[Problem]:
    """Refuse a script that imports what this machine's Python does not have, in a job that installs no packages."""
    program = _find_program(job)
    words = job.trainer_args
    if program is None or not _has_no_packages(job, program[0]) or "/" in words[0]:
        return
    root, script = program
    python = program_packages.find_python(words[0], os.environ.get("PATH", os.defpath), Path(os.sep))
    if python is None or "PYTHONPATH" in load_pairs(job["environ"]):
        return
    packages = program_packages.ProgramPackages(python)
    import_places = script_facts.find_missing_at_start(root, script)
    misspelt_modules = {*_find_misspelt(job, root, script), *_find_removed(job, root, script)}
    missing_modules = {
        module: import_place for module, import_place in import_places.items() if not packages.has_module(module)
    }
    missing_modules = {
        module: import_place for module, import_place in missing_modules.items() if module not in misspelt_modules
    }
    if missing_modules:
        ways = _suggest_packages(sorted(missing_modules), root)
        places_text = _join_names(
            [f"{module} ({redact(import_place)})" for module, import_place in missing_modules.items()]
        )
        yield make_problem(
            "packages-missing.here",
            *ways,
            script=redact(script),
            modules=places_text,
            python=python,
            hint=_describe_similar_modules(missing_modules),
        )


def check_lock_file(job: "Job") -> Iterator[Problem]:
    """Warn of imports that no package of the code's uv.lock has a name like: it says all of them before it is used."""
    program = _find_program(job)
    if program is None or job["shipped_environment"] or job["requirements"]:
        return
    root, script = program
    try:
        lock_text = read_limited_file(root / LOCK_FILE, MAX_PROJECT_FILE).decode(errors="replace")
    except OSError:
        return
    packages = set(LOCKED_NAME.findall(lock_text))
    misspelt_modules = _find_misspelt(job, root, script)
    for module, import_place in script_facts.find_missing_at_start(root, script).items():
        if module not in misspelt_modules and not comes_from(module, packages):
            way = Suggestion(f"uv add {INSTALLED_AS.get(module, module)}", "in the folder of the code")
            nearest_name = find_nearest_name(module, packages)
            hint = f"It has {nearest_name}." if nearest_name else ""
            place = redact(import_place)
            problem = make_problem("import-unlocked", way, given=module, where=place, origin=LOCK_FILE, hint=hint)
            yield dataclasses.replace(problem, stage=Stage.CHECK)


def _describe_similar_modules(modules: Iterable[str]) -> str:
    """Return which modules have nearly the name of a usual one, which may be meant; empty for none."""
    usual_modules = sorted({*USUAL_MODULES, *sys.stdlib_module_names})
    sentences = list[str]()
    for module in modules:
        similar_modules = [usual for usual in usual_modules if module != usual and is_misspelling(module, usual)]
        if module not in USUAL_MODULES and (meant_module := find_nearest_name(module, similar_modules)):
            sentences.append(f"{module} may be {meant_module} misspelt.")
    return " ".join(sentences)


def _make_missing_name(missing_name: script_facts.MissingName) -> Problem:
    nearest_name = find_nearest_name(missing_name.name, missing_name.names)
    hint = f"It has {nearest_name}." if nearest_name else ""
    return make_problem(
        "import-name-missing",
        given=missing_name.name,
        where=redact(missing_name.place),
        name=redact(missing_name.name),
        path=redact(missing_name.path),
        hint=redact(hint),
    )


def _find_removed(job: "Job", root: Path, script: str) -> dict[str, str]:
    """Return the modules of the folder that are not there any more, each with the place of its import."""
    places = script_facts.find_missing_at_start(root, script)
    packages = _read_package_names(job, root)
    removed_modules = {module for module in places if program_files.has_compiled_module(root, script, module)}
    return {
        module: place
        for module, place in places.items()
        if module in removed_modules and simplify(module) not in packages
    }


def find_needed_modules(job: "Job") -> dict[str, str]:
    """Return the modules without which a job's script cannot start, each with the place of its import."""
    program = _find_program(job)
    return script_facts.find_missing_at_start(*program) if program else {}


def _find_program(job: "Job") -> tuple[Path, str] | None:
    """Return the folder and the path of a job's Python script; None where it is unknown, or may find any module."""
    code = code_rules.find_code(job)
    script = rules.find_program_file(job)
    if code is None or code.kind != LOCAL_KIND or not job["install"] or not script.endswith(".py"):
        return None
    return Path(code.uri), script


def _has_no_packages(job: "Job", root: Path) -> bool:
    """Return whether nothing is installed for the program."""
    is_project = any((root / name).is_file() for name in script_facts.PROJECT_FILES)
    return not (is_project or job["shipped_environment"] or job["requirements"])


def _find_misspelt(job: "Job", root: Path, script: str) -> dict[str, tuple[str, str]]:
    """Return the modules with a misspelt name, each with the one that is meant, and the place of its import."""
    packages = _read_package_names(job, root)
    own_modules = script_facts.list_own_modules(root, script)
    misspelt_modules: dict[str, tuple[str, str]] = {}
    for module, import_place in script_facts.find_missing_at_start(root, script).items():
        meant_module = find_meant_module(module, own_modules)
        if meant_module and simplify(module) not in packages:
            misspelt_modules[module] = meant_module, import_place
    return misspelt_modules


def _read_package_names(job: "Job", root: Path) -> str:
    """Return the texts of the files that name the packages of a program, without dashes; empty for none."""
    paths = [root / name for name in script_facts.PROJECT_FILES]
    paths += [Path(str(job["requirements"])).expanduser()] if job["requirements"] else []
    file_texts = list[str]()
    for path in paths:
        with suppress(OSError):
            file_texts.append(read_limited_file(path, MAX_PROJECT_FILE).decode(errors="replace"))
    return simplify("\n".join(file_texts))


def _suggest_packages(missing_modules: Sequence[str], root: Path) -> list[Suggestion]:
    """Return what gives a program the modules that it lacks."""
    ways = [Suggestion(NO_INSTALL, "where its Python has them")]
    if {*missing_modules} & SHIPPED_MODULES:
        ways.insert(0, Suggestion(f"{SHIPPED} {SHIPPED_ENVIRONMENT}"))
    file = script_facts.REQUIREMENTS_FILE
    if (root / file).is_file():
        path = root / file if root != Path.cwd() else file
        ways.insert(0, Suggestion(f"{REQUIREMENTS} {shlex.quote(str(path))}"))
    elif len(ways) == 1:
        ways.insert(0, Suggestion(f"{REQUIREMENTS} FILE"))
    return ways


def _join_names(names: Sequence[str]) -> str:
    return f"{', '.join(names[:MAX_NAMES])}{' and others' if names[MAX_NAMES:] else ''}"


MAX_PROJECT_FILE = 1 << 20
LOCK_FILE = "uv.lock"
LOCKED_NAME = re.compile(r'^name = "([^"]+)"', re.MULTILINE)
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
