"""Workloads: what can be run, with its parameters, roles and rules."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from robotrain.errors import Problem
from robotrain.model.data_report import DescribeData
from robotrain.model.preview import WorkPreview
from robotrain.model.workload_profile import Produces, WorkloadProfile

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import JobDocument, JobSource

    from robotrain.model.job import Job
    from robotrain.model.locked_program import LockedProgram


OPTION_NAME = re.compile(r"--?[A-Za-z][\w.-]*")
NEGATIVE_WORD = re.compile(r"-(inf|infinity|nan)", re.IGNORECASE)
"""A negative number in letters."""


def get_option_name(argument: str) -> str:
    """Return `--NAME` of `--NAME=VALUE`, `--NAME` and `-N`; empty for any other argument: `-3`, `-inf`, `--a text`."""
    name = argument.partition("=")[0]
    return name if OPTION_NAME.fullmatch(name) and not NEGATIVE_WORD.fullmatch(argument) else ""


ListAnswers = Callable[[], Mapping[str, Mapping[str, Any]]]


class Role(NamedTuple):
    """An input of a workload."""

    required: bool = False
    many: bool = False
    """Whether it accepts several sources, in order."""
    typical: bool = False
    """Whether most jobs have one, and so the jobs of tests."""
    takes: Produces | None = None
    """What it takes of an earlier step of a pipeline: a step whose workload produces this can fill it."""
    takes_all: str = ""
    """The parameter, if there is one, with which it takes all checkpoints of a run, or those that an earlier step hands
    over, in place of the newest: `all`, or a number whose multiples are their steps.
    """
    training_only_with: str = ""
    """The switch, if there is one, with which its sources are for the training alone: no evaluation gets them."""
    described_by: tuple[str, ...] = ()
    """The parameters that have no effect without one."""
    weights: str = ""
    """The parameter, if there is one, that gets the weights of its sources, `a/b=0.7`, in their order."""
    is_program: bool = False
    """Whether a source of it replaces `Workload.program`, so that nobody knows the options after `--`."""
    default: Callable[[Mapping[str, Any]], str] = lambda parameters: ""
    """Return the text of the source that a job has if none is given, by its parameters; empty for none."""
    reads: Callable[[str], bool] = lambda text: True
    """Return whether it needs a source that an earlier job had in this role, by its text."""


class FoundInput(NamedTuple):
    """An input on this machine that jobs could use, found for `robotrain init`."""

    role: str
    kind: str
    text: str
    """As a job file gives it."""
    summary: str = ""
    parameters: Mapping[str, str | int | float | bool] = {}
    """Values that suit it."""
    arguments: tuple[str, ...] = ()
    """The command that suits it, of a workload with one of its user's own."""


class ConfigValue(NamedTuple):
    """A value of a workload's own configuration file."""

    name: str
    """The parameter, `ROLE.KIND` for a source, or an option of `program`: `--policy.chunk_size`."""
    value: str | int | float | bool
    where: str
    """Its place: `config.yaml:3`."""


class JobTemplate(NamedTuple):
    """What a workload brings for new jobs."""

    parameters: Mapping[str, str | int | float | bool | None] = {}
    """The parameters that a new job file shows, with their values; None: as a comment."""
    examples: Mapping[str, Path] = {}
    """The folders of `robotrain init --example`, by name."""
    find_inputs: Callable[[Path], Iterable[FoundInput]] = lambda folder: ()
    """Yield each input that jobs in a folder could use, the best first."""


class OptionFinder(Protocol):
    """The module that knows the options of a workload's program.

    Of its arguments, `parameters` are values that the job gives, by name, and `owned` the workload's `managed_options`.
    """

    def list_options(self, parameters: Mapping[str, Any], owned: Mapping[str, str]) -> Iterable[Any]:
        """Yield the options that these parameters bring, each with `name`, `kind` and `default`."""

    def complete_options(self, parameters: Mapping[str, Any], owned: Mapping[str, str]) -> Iterable[str]:
        """Yield the names of all options."""


class ProgramLocker(Protocol):
    """The module that locks the packages of a job's program."""

    @property
    def PARAMETERS(self) -> tuple[str, ...]:
        """The parameters that a lock depends on, beside the code."""

    def lock_program(self, job: "Job", say: Callable[[str], None]) -> "LockedProgram | None":
        """Return what was locked; None if the job has nothing to lock. Raise Rejected.

        :param say: shows a line of progress.
        """

    def find_locked(self, job: "Job") -> "LockedProgram | None":
        """Return a lock that was made before, without the network; None for none. Raise Rejected."""


class ProgramOptions(NamedTuple):
    """What knows the options of a workload's program."""

    load: Callable[[], OptionFinder] | None = None
    """Import what knows them."""
    chosen_by: tuple[str, ...] = ()
    """The parameters that decide which options there are, for completion and lists of them."""


class ProgramNeeds(NamedTuple):
    """What the text of a program says that its job needs, as far as nobody says otherwise."""

    arguments: tuple[str, ...] = ()
    """Added to the command."""
    parameters: Mapping[str, tuple[str, str]] = {}
    """Values of parameters by their names, each with the reason as the end of a sentence: `it imports torch`. A path
    starts from the folder of the code.
    """


class UserCommand(NamedTuple):
    """A whole command of the user's: the arguments after `--`, `run:` in a job file.

    No option among them is robotrain's. Those of the command line replace those of the file; options alone change it. A
    job may have parameters of its user's own, `params:` of a job file and `--param`: texts, exactly as they were given.
    """

    reserved_names: tuple[str, ...] = ()
    """Names that no parameter of a user's own can have, beside those of the workload's parameters and roles."""
    starters: Mapping[str, tuple[str, ...]] = {}
    """The words that start a program file, by its suffix: of `{".py": ("python",)}`, `submit train.py -- ARGUMENTS` is
    the command `python train.py ARGUMENTS`, in the folder of the role that `is_program`.
    """
    find_needs: Callable[[Path, str, Sequence[str], Mapping[str, str]], ProgramNeeds] | None = None
    """Return what a program file needs; nothing is run. Its arguments: the folder of the code, the path in it, the
    words of the command, and the parameters and settings that somebody gave, with their texts.
    """
    list_words: Callable[["Job"], Sequence[str]] = lambda job: job.trainer_args
    """Return the words of the command as the run starts it, with the values that are known before."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A workload, as its plugin declares it."""

    name: str
    summary: str
    parameters: type
    """A frozen dataclass of `Annotated[type, Param(…)]`."""
    roles: Mapping[str, Role]
    container_plugin: str
    """The module that runs it in the container."""
    derive_defaults: Callable[["Job"], Mapping[str, tuple[Any, str]]] = field(default=lambda job: {})
    """Return the defaults of parameters that follow from the rest of a job, by name, each with what it is the default
    of: `(2.5e-5, "of pi0 in LeRobot 0.6.1")`. They replace the declared ones that nobody gave another value. It may
    read small files of sources on this machine.
    """
    describe_unset: Callable[["Job"], Mapping[str, tuple[Any, str]]] = field(default=lambda job: {})
    """Return what the work takes for parameters that have no value, by name, each with the reason, for `explain`."""
    derive_image_defaults: Callable[[str], Mapping[str, tuple[Any, str]]] = field(default=lambda image: {})
    """Return the defaults of parameters that follow from the image which the user chose, as `derive_defaults` does."""
    derive_profile: Callable[["Job"], WorkloadProfile] | None = None
    """Return the profile of a job, where it follows from its parameters; `profile` is that of most jobs."""
    managed_options: Mapping[str, str] = field(default_factory=dict)
    """The options of `program` that robotrain sets itself, each with what to use instead."""
    managed_with_roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of these, the options that have an effect only with a source of one of these roles."""
    check: Callable[["Job"], Iterable[Problem]] = field(default=lambda job: ())
    """Check a resolved job against the workload's own rules; pure. A warning about a missing publish_url counts only
    for a job that does not run on this machine.
    """
    data_packages: Callable[["Job"], Mapping[str, str]] = field(default=lambda job: {})
    """Return the packages of data files, by a name, that `container_plugin` reads of a job and does not import. Of a
    package that is named `PACKAGE:FILE,FILE` a job carries these files alone.
    """
    data_environments: tuple[str, ...] = ()
    """Modules with an `ENVIRONMENT`, in which some jobs prepare their data; an image contains them too."""
    targets: tuple[str, ...] = ()
    """The parameters that name a place to write to: a folder, or an address of a source kind with a `target`.
    `publish_url` is the one for checkpoints.
    """
    example_lines: tuple[str, ...] = ()
    """Jobs that help shows, each as the words after `robotrain submit`, with PLATFORM for the platform."""
    own_command: UserCommand | None = None
    """Whether a job runs a command of its user's own."""
    program: str = "the trainer"
    """What receives the options after `--`, in messages."""
    implies_sources: Callable[["Job"], bool] = field(default=lambda job: False)
    """Return whether a job may need sources that nobody gave, by its parameters and sources; pure. Only then is the
    container plugin imported for its `implied_sources`, which names them.
    """
    implied_sources: Callable[["JobDocument", Mapping["JobSource", Path]], Mapping[str, Sequence[str]]] | None = None
    """What the container plugin's function of this name returns, without importing the rest of the plugin, where that
    costs start-up.
    """
    produces: Produces = "checkpoints"
    get_option_name: Callable[[str], str] = field(default=get_option_name)
    """Return the name of the option of `program` that an argument after `--` gives; empty for an argument that is the
    value of the option before it, or no option. Of two options of one name, that of the command line replaces that of
    the job file.
    """
    takes_value: Callable[[str], bool] = field(default=lambda name: True)
    """Return whether the option of `program` with this name has a value. An argument without a name, behind an option
    that has none, belongs to no option.
    """
    program_options: ProgramOptions | None = None
    """What knows the options of `program`, if anything does."""
    named_by: tuple[str, ...] = ()
    """The parameters whose values are part of a run's default name, after its data."""
    profile: WorkloadProfile = WorkloadProfile()
    logs_metric: Callable[["Job", str], bool] = field(default=lambda job, metric: True)
    """Return whether a job reports a metric that the profile declares, by its parameters and sources; pure."""
    evaluates: tuple[str, ...] = ()
    """The workloads whose policies it evaluates: `pipeline train-eval` puts it after one of them."""
    inherits: tuple[str, ...] = ()
    """The parameters that it then shares with the training."""
    evaluated_with: str = ""
    """The parameter, if there is one, that names the checkpoints which later steps of a pipeline get, as
    `Role.takes_all` does. A submit of a job that has a value for it sends a pipeline: the job, and its evaluation.
    """
    read_results: Callable[[bytes], Any] | None = None
    """Return the EvaluationResults of `robotrain.report.evaluation` that `complete_file` contains. Raise ValueError."""
    read_config: Callable[[Path], Iterable[ConfigValue | Problem]] | None = None
    """Read the workload's own configuration file, which `--config FILE` and `config:` of a job file name: yield a
    ConfigValue for each value, and a Problem for each mistake. Flags and the job file win.
    """
    format_config: Callable[["JobDocument", str], str] | None = None
    """Return such a file with the settings of a job, whose data is in a folder."""
    template: JobTemplate = JobTemplate()
    preview: WorkPreview = WorkPreview()
    """What `submit --dry-run` shows of a job beside what every job has."""
    describe_data: DescribeData | None = None
    """Read the files of a job's data before it is sent."""
    load_locker: Callable[[], ProgramLocker] | None = None
    """Import what locks the packages of the user's own program, which has an environment of its own beside that of the
    run.
    """
    needs_lock: Callable[["Job"], bool] = field(default=lambda job: True)
    """Return whether there may be something to lock for a job; pure. Only then is `load_locker` called."""
    follow_run: Callable[["Job", "Job"], Mapping[str, tuple[Any, str]]] | None = None
    """Called with the job, and that of the run that one of its sources names: return defaults of parameters that it
    takes over, as `derive_defaults` does.
    """
    continue_runs: Callable[["Job", ListAnswers], Mapping[str, tuple[Any, str]]] | None = None
    """Called with the job, and a function that returns what earlier runs of the workload that compared policies found,
    by run, the oldest first (`Evaluated.compared`): return defaults of parameters that the job goes on from, as
    `derive_defaults` does. Like pins they are looked up at each submit, and not part of the job's digest.
    """
