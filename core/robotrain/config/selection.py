"""What a command is about: platform, profile, workload and job file. They decide which options it has, so they are
found among its words before these are parsed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain_runtime.contract.parameter import UNSET, get_parameters

from robotrain.config.values import DEFAULT_ORIGIN, SET_FLAG, Layer, Origin, Value, make_variable_name
from robotrain.config.variables import VariableLayer, read_dotenv_files, read_environment
from robotrain.plugins.failures import PluginError
from robotrain.plugins.manager import Plugins
from robotrain.store.files import find_project_file

if TYPE_CHECKING:
    from robotrain.config.project_file import Project
    from robotrain.errors import Problem
    from robotrain.model.workload import Workload

PROGRAM_FILE = re.compile(r"[^-=\s][^=]*\.[a-z]\w{0,5}")
"""What a program file may be called: only then are the workloads asked whether they start it."""
QUOTED_COMMAND = re.compile(r".*\S\.(?!ya?ml\s)[a-z]\w{0,5}\s")
"""The beginning of a word that is a whole command: it has a program before other words."""
PLATFORM_VARIABLE, PROFILE_VARIABLE = make_variable_name("platform"), make_variable_name("profile")


class Surroundings(NamedTuple):
    """What all jobs of the working folder share."""

    variables: tuple[VariableLayer, ...] = ()
    """The environment and the `.env` files, the strongest first."""
    project: Project | None = None
    """The content of robotrain.toml, with a profile."""
    platform: Value | None = None
    """The chosen platform."""

    def list_problems(self) -> list[Problem]:
        """Return what is wrong with the files."""
        problems = [problem for layer in self.variables for problem in layer.problems]
        return [*problems, *(self.project.problems if self.project else ())]

    def find_variable(self, name: str) -> Value | None:
        """Return a variable of the environment or a `.env` file."""
        return next((value for layer in self.variables if (value := layer.find_first((name,)))), None)

    def find_workload(self, files: Iterable[Layer]) -> Value | None:
        """Return the workload that one of the files of a job names, or else the project."""
        workload_values = (file.values["workload"] for file in files if file.find_text("workload"))
        if workload_value := next(workload_values, None):
            return Value(
                workload_value.value,
                workload_value.origin._replace(where=workload_value.origin.where.rpartition(":")[0]),
            )
        return self.project.find("workload") if self.project else None

    def list_layers(self, workload: str, platform: str, declared: Mapping[str, type]) -> Iterator[Layer]:
        """Yield what they say for a job of a workload and a platform, the strongest first.

        :param declared: what is read of variables, by where its values stand in a job file.
        """
        parameters = {
            f"{table}.{parameter.name}": parameter
            for table, declared_type in declared.items()
            for parameter in get_parameters(declared_type)
        }
        for variables in self.variables:
            values = {key: variables.find_first(parameter.env) for key, parameter in parameters.items()}
            yield Layer({key: value for key, value in values.items() if value})
        if self.project:
            yield from self.project.list_layers(workload, platform)


NO_SURROUNDINGS = Surroundings()


def read_surroundings(platform: str = "", profile: str = "", layer: str = "flag", start: str = "--") -> Surroundings:
    """Return what the environment and the files of the working folder say; a given platform and profile win.

    :param layer: what gives these, which stand there after `start`.
    """
    given_platform, given_profile = (
        Value(text, Origin(layer, f"{start}{name}")) if text else None
        for name, text in (("platform", platform), ("profile", profile))
    )
    working_folder, project = Path.cwd(), None
    surroundings = Surroundings((read_environment(), *read_dotenv_files(working_folder)))
    chosen_profile = given_profile or surroundings.find_variable(PROFILE_VARIABLE)
    if chosen_profile or find_project_file(working_folder):
        from robotrain.config import project_file  # costs start-up

        project = project_file.load_project(working_folder, chosen_profile)
    chosen_platform = (
        given_platform
        or surroundings.find_variable(PLATFORM_VARIABLE)
        or (project.find("platform") if project else None)
    )
    return surroundings._replace(project=project, platform=chosen_platform)


ARGUMENT_LAYER = "argument"
"""The origin of a workload that is a word of the line."""


class Choice(NamedTuple):
    """The workload, platform and job file that the arguments choose, which decide the options."""

    workload: str
    platform: str
    """Empty when none was chosen."""
    surroundings: Surroundings = NO_SURROUNDINGS
    file: Layer | None = None
    """The job file."""
    origins: tuple[Origin, Origin] = (DEFAULT_ORIGIN, DEFAULT_ORIGIN)
    """Where the workload and the platform were chosen."""
    program: str = ""
    """The program file that stands in place of a command; empty for none."""
    is_evaluated: bool = False
    """Whether the job's checkpoints are scored, so that it has the options of its evaluation too."""

    @property
    def files(self) -> tuple[Layer, ...]:
        """What describes the job."""
        return (self.file,) if self.file else ()

    @property
    def project(self) -> Project | None:
        """The content of robotrain.toml."""
        return self.surroundings.project


def choose_without_job(platform: str, profile: str = "") -> Choice:
    """Return the choice of a command that takes no job."""
    surroundings = read_surroundings(platform, profile)
    platform_value = surroundings.platform or Value("", DEFAULT_ORIGIN)
    return Choice("", str(platform_value.value), surroundings, origins=(DEFAULT_ORIGIN, platform_value.origin))


class JobScan:
    """The words of a command that takes a job, before its `--`."""

    def __init__(self, words: Sequence[str], plugins: Plugins, can_evaluate: bool) -> None:
        self._words, self._plugins, self._can_evaluate = words, plugins, can_evaluate
        self._workloads = plugins.list_names("workload")
        self._files: dict[str, Layer] = {}
        self._program = ""
        self._of_platform = choose_without_job(*(read_option(words, flag) for flag in ("--platform", "--profile")))

    def find_choice(self, takes_value: Callable[[str, Choice], bool | None]) -> Choice:
        """Return what the first workload and the first job file among the words choose, with the platform.

        :param takes_value: whether an option takes a value, with the options of a choice; None if it is not one.
        """
        self._program = self._find_word(
            lambda word: bool(self._find_runner(word)), lambda word: [(self._find_runner(word), "")], takes_value
        )
        runner = self._find_runner(self._program)
        workload_name = self._find_word(
            lambda word: word in self._workloads, lambda word: [(runner or word, "")], takes_value
        )
        if runner != (workload_name or runner):
            self._program = ""
        workload_name = workload_name or runner
        path = self._find_word(is_job_file, lambda word: [(workload_name, ""), (workload_name, word)], takes_value)
        return self._choose(workload_name, path)._replace(program=self._program)

    def is_word(self, word: str) -> bool:
        """Return whether a word chooses the job, so that it is no value that an option may have."""
        return word in self._workloads or is_job_file(word) or word == self._program != ""

    def _find_runner(self, word: str) -> str:
        """Return the workload that starts a program file of this name; empty if none does."""
        if not PROGRAM_FILE.fullmatch(word) or is_job_file(word):
            return ""
        starts = (workload for workload in self._plugins.workloads().values() if find_starter(workload, word))
        return next((workload.name for workload in starts), "")

    def _find_word(
        self,
        is_meant: Callable[[str], bool],
        list_readings: Callable[[str], list[tuple[str, str]]],
        takes_value: Callable[[str, Choice], bool | None],
    ) -> str:
        """Return the first such word that is not the value of an option; empty without one.

        :param list_readings: returns workload and file of the choices whose options tell that, the first that knows.
        """
        for previous_word, word in zip(["", *self._words], self._words, strict=False):
            if not is_meant(word):
                continue
            if not previous_word.startswith("-") or "=" in previous_word:
                return word
            answers = (takes_value(previous_word, self._choose(*reading)) for reading in list_readings(word))
            if not next((is_value_taken for is_value_taken in answers if is_value_taken is not None), False):
                return word
        return ""

    def _choose(self, named: str, path: str) -> Choice:
        """Return the choice: argument, then job file, then robotrain.toml, then default."""
        if path and path not in self._files:
            from robotrain.config import job_file  # costs start-up

            self._files[path] = job_file.read_job_file(Path(path))
        choice = self._of_platform._replace(file=self._files.get(path))
        workload = Value(named, Origin(ARGUMENT_LAYER)) if named else choice.surroundings.find_workload(choice.files)
        workload = workload or Value(self._plugins.default_workload(), DEFAULT_ORIGIN)
        choice = choice._replace(workload=str(workload.value), origins=(workload.origin, choice.origins[1]))
        return choice._replace(is_evaluated=self._is_evaluated(choice))

    def _is_evaluated(self, choice: Choice) -> bool:
        """Return whether the words or the job file ask for scores of the job's checkpoints."""
        workload = load_or_none(self._plugins.workload, choice.workload) if self._can_evaluate else None
        if not workload or not workload.evaluated_with:
            return False
        name = workload.evaluated_with
        flags = [
            flag
            for parameter in get_parameters(workload.parameters)
            if parameter.name == name
            for flag in parameter.flags
        ]
        typed_values = [
            option_value for flag in flags for option_value in _read_options(self._words, flag) if option_value != ""
        ]
        assigned = parse_assignments(filter(None, _read_options(self._words, SET_FLAG)))
        parameters = read_given_parameters(assigned, choice.file)
        return (typed_values[-1] if typed_values else parameters.get(name, UNSET)) != UNSET


def find_starter(workload: Workload, file: str) -> tuple[str, ...]:
    """Return the words with which a workload starts a program file; none if it starts no such files."""
    own_command = workload.own_command
    return own_command.starters.get(Path(file).suffix, ()) if own_command else ()


def read_option(words: Sequence[str], flag: str) -> str:
    """Return the value of an option, of several the last; empty without one."""
    return next(reversed([option_value for option_value in _read_options(words, flag) if option_value is not None]), "")


def _read_options(words: Sequence[str], flag: str) -> Iterator[str | None]:
    """Yield the values of an option, whatever they look like; None for one that is the last word."""
    for word, following in itertools.zip_longest(words, words[1:]):
        name, equals, option_value = word.partition("=")
        if name == flag:
            yield option_value if equals else following


def split_assignment(assignment_text: str) -> tuple[str, str | None]:
    """Return the key and the value of `KEY=VALUE`, None without `=`; a key may be spelt as its option."""
    key, equals, value = assignment_text.partition("=")
    key = key.strip()
    if re.fullmatch(r"(?:parameters\.)?[a-z][a-z0-9_-]*", key):
        key = key.replace("-", "_")  # `batch-size`, as `--over` takes it
    return key, value if equals else None


def parse_assignments(assignment_texts: Iterable[str]) -> dict[str, str]:
    """Return the parameters that `--set KEY=VALUE` gives, as texts by name; what is malformed is reported later."""
    assignments = map(split_assignment, assignment_texts)
    return {key.removeprefix("parameters."): value for key, value in assignments if value}


def read_given_parameters(typed_parameters: Mapping[str, str], file: Layer | None) -> dict[str, str]:
    """Return the parameters that the command line gives, and below them those of the job file, as texts by name."""
    in_file = file.select("parameters") if file else {}
    file_parameters = {
        name: value.value for name, value in in_file.items() if value.value and isinstance(value.value, str)
    }
    return {**file_parameters, **typed_parameters}


def is_job_file(word: str) -> bool:
    """Whether a word names a job file; a quoted command whose last word is such a file does not."""
    return word.endswith((".yaml", ".yml")) and not word.startswith("-") and not QUOTED_COMMAND.match(word)


def load_or_none(load: Callable[[str], Any], name: str) -> Any:
    """Load a plugin by name; None without a name, and for a plugin that fails, which the command reports later."""
    try:
        return load(name) if name else None
    except PluginError:
        return None
