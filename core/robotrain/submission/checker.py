"""The checker of a job: the Python whose trainer is asked whether it accepts the job's options.

It is chosen by `--checker`, by `ROBOTRAIN_CHECKER` in the environment, or by the user's own configuration file, never
by a file of a project. Without a choice it is the environment of the job's own lock, if it is built on this machine.
"""

import os
import platform
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract.container_plugin import PythonEnvironment, read_lock
from robotrain_runtime.contract.document import Placement
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.environments import environment, environment_check
from robotrain_runtime.process.stop import StopSignal

from robotrain.config.user_file import USER_LAYER, read_user_file
from robotrain.config.values import Origin, Value
from robotrain.config.variables import read_dotenv_files
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain.store import files

make_problem = Messages(__file__)

FLAG, VARIABLE, KEY = "--checker", "ROBOTRAIN_CHECKER", "checker"
UNUSABLE = "checker-unusable"
NONE, BUILD = "none", "build"
"""Choices beside the path of a Python: to ask nobody, and to build the environment if it is missing."""
CPU_BUILD = "cpu"
"""The build of PyTorch that a checker is built with: the smallest."""


class CheckOptions(NamedTuple):
    """How inputs and options are checked before a job is sent."""

    is_dry_run: bool = False
    """Whether the trainer is also asked for a platform that runs here, whose run soon asks it anyway."""
    checker: str = ""
    """The value of `--checker`."""
    say: Callable[[str], None] = lambda text: None
    """Shows a message while a check takes long."""
    has_flag: bool = False
    """Whether the command has `--checker`; each has the variable."""
    confirm: Callable[[Problem], bool] = lambda problem: False
    """Asks the user about a problem that has a question."""

    def suggest(self, choice: str, remark: str) -> Suggestion:
        """Return the suggestion of another checker."""
        return Suggestion(f"{FLAG} {choice}" if self.has_flag else f"{VARIABLE}={choice}", remark)


NO_OPTIONS = CheckOptions()


class Checker(NamedTuple):
    """A Python that can be asked."""

    python: Path
    name: str
    """For messages: `lerobot 0.6.1 of /opt/venv/bin/python`."""
    folder: Path | None = None
    """The environment in robotrain's cache; None for a Python of the user's own."""


class FoundChecker(NamedTuple):
    """The checker of a job, if there is one, and what is wrong with the one that was chosen."""

    checker: Checker | None = None
    problems: tuple[Problem, ...] = ()
    is_off: bool = False
    """Whether nothing is to be said of it: the user wants none, or preflight reports it."""


def read_choice(flag: str = "") -> tuple[Value | None, tuple[Problem, ...]]:
    """Return what the user chose, with its origin; None for nothing. `flag` is the value of the option.

    A file of the working folder that names a checker is a problem.
    """
    untrusted_problems = tuple(_find_untrusted())
    if flag:
        return Value(flag, Origin("flag", FLAG)), untrusted_problems
    if environment_choice := os.environ.get(VARIABLE):
        return Value(environment_choice, Origin("environment", VARIABLE)), untrusted_problems
    user_file = read_user_file()
    return user_file.values.get(KEY), (*untrusted_problems, *user_file.problems)


def _find_untrusted() -> Iterator[Problem]:
    for layer in read_dotenv_files(Path.cwd()):
        if value := layer.values.get(VARIABLE):
            file_location, text = value.origin.where, str(value.value)
            yield make_problem(
                "setting-not-trusted", where=file_location, given=text, flag=FLAG, layer=layer.layer, variable=VARIABLE
            )


def find_checker(
    required_environment: PythonEnvironment, options: CheckOptions, own_environment: str = ""
) -> FoundChecker:
    """Return the checker for a job with the environment `required_environment`.

    :param own_environment: the user's environment on this machine that the job will run in, if there is one: it is
        asked unless the user chose another, or it cannot be used.
    """
    choice, problems = read_choice(options.checker)
    text = str(choice.value) if choice else ""
    if text == NONE:
        return FoundChecker(None, problems, is_off=True)
    if choice is None and own_environment:
        python = environment.get_python(Path(own_environment))
        if not _explain_unusable(python, required_environment):
            return FoundChecker(_make_checker(python, required_environment), problems)
    if choice is None or text == BUILD:
        checker = find_built_environment(required_environment)
        if checker is None and text == BUILD:
            lock_name = required_environment.lock.stem
            text = f"building the environment of {lock_name} for the checks, with a PyTorch for the CPU, once"
            checker, failures = build_environment(required_environment, options.say, text, CPU_BUILD)
            problems += failures
        return FoundChecker(checker, problems, is_off=choice is None and bool(own_environment))
    python = environment.get_python(_make_path(text, choice.origin))
    reason = _explain_unusable(python, required_environment)
    if not reason:
        return FoundChecker(_make_checker(python, required_environment), problems)
    unusable_problem = make_problem(
        "checker-unusable.not-used",
        options.suggest(BUILD, "builds one"),
        options.suggest(NONE, "checks without one"),
        where=choice.origin.where,
        given=text,
        severity="error" if choice.origin.layer == "flag" else "warning",
        python=python,
        why=reason,
    )
    return FoundChecker(None, (*problems, unusable_problem))


def _make_path(text: str, origin: Origin) -> Path:
    """Return the absolute path of a choice: what a file names is beside that file, not in a project's folder."""
    base = os.path.dirname(origin.where) if origin.layer == USER_LAYER else ""
    return Path(os.path.abspath(os.path.join(base, os.path.expanduser(text))))


def can_build(required_environment: PythonEnvironment) -> bool:
    """Return whether the environment of a lock can be built on this machine."""
    return required_environment.platform in ("", f"{platform.system()}-{platform.machine()}")


def find_built_environment(required_environment: PythonEnvironment) -> Checker | None:
    """Return the environment of the job's lock in robotrain's cache or in the image, whatever its PyTorch."""
    folder = environment.find_any_build(required_environment.lock, files.get_cache_folder())
    return _make_checker(environment.get_python(folder), required_environment, folder) if folder else None


def _make_checker(python: Path, required_environment: PythonEnvironment, folder: Path | None = None) -> Checker:
    versions = " ".join(f"{name} {version}" for name, version in read_locked_versions(required_environment).items())
    path = folder or python
    return Checker(python, f"{versions} of {path}" if versions else str(path), folder)


def read_locked_versions(required_environment: PythonEnvironment) -> dict[str, str]:
    """Return the locked version of each package that an environment must have, by name."""
    lock = read_lock(required_environment.lock)
    matches = (
        (name, re.search(rf"^{re.escape(name)}==([^\s;\\]+)", lock, re.M))
        for name in required_environment.required_packages
    )
    return {name: match[1] for name, match in matches if match}


def _explain_unusable(python: Path, required_environment: PythonEnvironment) -> str:
    """Return why a Python of the user cannot be asked, as the end of a sentence; empty if it can."""
    locked = read_locked_versions(required_environment)
    if not os.path.isfile(python):
        return "there is no such file"
    versions = environment_check.read_versions(python, dict.fromkeys(locked, ""))
    if versions is None:
        return "it does not run"
    for name, locked_version in locked.items():
        if not versions[name]:
            return f"it does not have {name}"
        if versions[name] != locked_version:
            return f"it has {name} {versions[name]}, and the job runs with {locked_version}"
    return ""


def build_environment(
    required: PythonEnvironment, say: Callable[[str], None], text: str, torch_backend: str | None = None
) -> tuple[Checker | None, tuple[Problem, ...]]:
    """Return the environment of a lock, built, or why it cannot be. Raise Rejected if that fails.

    :param text: what is said before.
    """
    cache = files.get_cache_folder()
    placement = Placement(work="", cache=str(cache), torch_backend=torch_backend)
    if problems := tuple(environment_check.find_environment_problems(required, placement)):
        return None, problems
    say(text)
    try:
        built = environment.build_environment(required.lock, required.python, cache, say, StopSignal(), torch_backend)
    except (JobFailed, OSError) as error:
        reason = redact(str(error))
        raise Rejected([make_problem("checker-unusable.not-built", where=FLAG, given=BUILD, why=reason)]) from error
    return _make_checker(environment.get_python(built), required, built), ()
