"""A job with LeRobot: its start, its model, its options, its data and its repositories, each found out once.

It is built where a job is sent from, of the files that describe its sources, and on its machine, of all files. What is
asked of a job (what is wrong, what it implies, the options of its trainer) is a view of it. Standard library only.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from robotrain_runtime.contract.document import Folders, JobDocument, JobSource

from robotrain_workloads import bag_parameters, packages
from robotrain_workloads.lerobot import adapter, backbones, dataset, file_formats, policy, policy_features, remote_code
from robotrain_workloads.lerobot.backbones import NeededRepository, PolicyFiles
from robotrain_workloads.lerobot.lineage import START_MODES
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.options_list import load_options
from robotrain_workloads.lerobot.start import FROM_SCRATCH, TRAIN_CONFIG_FILE, Start, load_start
from robotrain_workloads.lerobot.trained_model import TrainedModel, choose_model

INITIAL_WEIGHTS_ROLE = "init_policy"


class GivenJob(Protocol):
    """A job's document, or the job where it is resolved."""

    @property
    def parameters(self) -> Mapping[str, Any] | tuple[tuple[str, Any], ...]:
        """The values by name."""

    @property
    def sources(self) -> tuple[JobSource, ...]:
        """The inputs."""

    @property
    def trainer_args(self) -> tuple[str, ...]:
        """The user's options for LeRobot."""


class PolicyReads(NamedTuple):
    """What the job's policy reads beside its own files."""

    needed: list[NeededRepository]
    start: PolicyFiles | None
    """The policy to start from; None for a new one."""
    base: adapter.Base | None = None
    """The policy that the start belongs to, if it is an adapter."""

    @property
    def names(self) -> list[str]:
        """The names of the repositories."""
        return [repository.name for repository in self.needed]


class LerobotJob:
    """A job, and what the files of its sources tell.

    :param given: its document, or the job where it is resolved.
    :param folders: where the sources are, as far as they are here.
    :param is_complete: whether all of their files are, not only those that describe them.
    :param start: where the work starts, if that is not the job's own start: an earlier attempt saved it.
    """

    def __init__(
        self,
        given_job: GivenJob,
        folders: Folders | None = None,
        *,
        is_complete: bool = False,
        start: Start | None = None,
    ) -> None:
        self.given = given_job
        self.parameters: Mapping[str, Any] = dict(given_job.parameters)
        self.sources, self.is_complete = given_job.sources, is_complete
        self.folders = {
            source: folder
            for source, folder in (folders or {}).items()
            if source.role != "dataset" or not self.parameters.get("bags") or (folder / dataset.INFO_FILE).is_file()
        }
        """Without those of datasets that are still bags: the job's machine converts them."""
        self.beside: Sequence[LerobotJob] = ()
        """The jobs of other policies that the same work evaluates."""
        self.arguments = given_job.trainer_args
        """The user's options for LeRobot, as typed after `--`."""
        self.options = {f"--{name}": value for name, value in split_options(self.arguments) if name}
        """Their texts as typed; None for one without. What they mean `option_values` says."""
        self.start_source = next((source for source in self.sources if source.role in START_MODES), None)
        """The source of the policy, checkpoint or weights to start from; None if it starts from nothing."""
        self._brought = brought_source = next((source for source in self.folders if source.role in START_MODES), None)
        self.start, self.start_error = start or FROM_SCRATCH, None
        """The start; from scratch if it cannot be read from here, and the error if its files are wrong."""
        if brought_source and start is None:
            try:
                self.start = load_start(brought_source, self.folders[brought_source])
            except (OSError, ValueError) as error:
                self.start_error = error
        self.is_start_known = brought_source == self.start_source and self.start_error is None
        """Whether its files are here and tell what it is, if it starts from anything."""
        self.model: TrainedModel = choose_model(self.parameters, self.start.settings)
        """What is trained or evaluated; of an unknown start, what the user says it is."""

    @property
    def document(self) -> JobDocument:
        """The job's document."""
        assert isinstance(self.given, JobDocument)
        return self.given

    @property
    def has_packages(self) -> bool:
        """Whether packages of the job may have other types than LeRobot."""
        return bool(packages.list_given(self.parameters))

    @property
    def known_model(self) -> TrainedModel | None:
        """What is trained or evaluated; None if only the files of the start say it, and they cannot be read here."""
        is_named = self.parameters.get("reward_model") or self.parameters.get("policy_type")
        return self.model if self.is_start_known or is_named else None

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """What the options of the type are: the user's value, else that of the start, else the type's default.

        None where there is no plain value.
        """
        return {
            **self.model.defaults,
            **self.start.settings,
            **self.model.read_options(self.arguments, as_json=self.reads_json),
        }

    @cached_property
    def option_values(self) -> Mapping[str, Any]:
        """The values of the user's options as LeRobot reads them, by name: `--dataset.streaming`.

        The text where only LeRobot can read it, or refuses it. Those without a value are missing.
        """
        options, types = load_options(self.model.lerobot.name), {self.model.prefix: self.model.kind}
        return {
            option: options.read_option(
                option.removeprefix("--"),
                text,
                types,
                as_json=self.reads_json and option.startswith(f"--{self.model.prefix}."),
            )
            for option, text in self.options.items()
            if text is not None
        }

    @property
    def json_prefix(self) -> str:
        """What the names of the options begin with that LeRobot reads as JSON: `policy.`; empty if it reads none so."""
        return f"{self.model.prefix}." if self.reads_json else ""

    @property
    def reads_json(self) -> bool:
        """Whether LeRobot reads options of the policy beside the configuration of one to start from: as JSON."""
        mode = START_MODES[self.start_source.role] if self.start_source else self.start.mode
        return mode in ("policy", "weights")

    @cached_property
    def root(self) -> Path | None:
        """The dataset, or its description; several are merged into one before the work."""
        return next((folder for source, folder in self.folders.items() if source.role == "dataset"), None)

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """The description of the dataset; empty if it cannot be read."""
        with suppress(OSError, ValueError):
            return dataset.load_dataset_info(self.root) if self.root else {}
        return {}

    @property
    def may_have_cameras(self) -> bool:
        """Whether its data have cameras, as far as it is known: what bags become is not, unless the user says it."""
        if self.info:
            return bool(dataset.list_cameras(self.info))
        return not (self.parameters.get("bags") and self.parameters["image_topics"] == bag_parameters.NO_TOPIC)

    @cached_property
    def datasets(self) -> list[JobSource]:
        """The datasets that are here, in the given order; one that is given twice counts twice."""
        return [source for source in self.sources if source.role == "dataset" and source in self.folders]

    @cached_property
    def policy_folder(self) -> Path | None:
        """The folder of the model that the source of the start brings; None if it is not here, or there is none.

        Of a run that has ended it is that of the model that the run saved.
        """
        return policy.find_model_folder(self.folders[self._brought]) if self._brought else None

    @cached_property
    def renames(self) -> Mapping[str, str]:
        """New names of features: those of the job, else those that a resumed training was started with."""
        renames = policy_features.parse_renames(self.parameters)
        if not renames and self.start.mode == "checkpoint":
            with suppress(OSError, ValueError):
                saved_renames = file_formats.read_json_object(self.start.folder / TRAIN_CONFIG_FILE).get("rename_map")
                return (
                    {str(name): str(renamed) for name, renamed in saved_renames.items()}
                    if isinstance(saved_renames, dict)
                    else {}
                )
        return renames

    @property
    def trusted(self) -> dict[str, str]:
        """The commits whose code the user trusts, by repository. Raise ValueError."""
        return remote_code.parse_trusted(self.parameters.get("trust_remote_code"))

    @cached_property
    def reads(self) -> PolicyReads | None:
        """What the policy reads; None while it is unknown: its files are not here, or its type is a plugin's."""
        files, base, model = None, None, self.model
        if source := self.start_source:
            if self.policy_folder is None:
                return None
            try:
                is_used = source.role != INITIAL_WEIGHTS_ROLE
                files = policy.read_policy_files(self.policy_folder, with_processors=is_used)
                if adapter.is_adapter(files.settings):
                    base = adapter.load_adapter(self.policy_folder).base
            except (OSError, ValueError):  # reported elsewhere
                return None
            if self.start_error:  # of a folder that holds no more than the model
                model = choose_model(self.parameters, files.settings)
        if not model.is_known:
            return None
        reads_others = files or model.facts.repositories
        needed_repositories = backbones.list_needed(self.parameters, self.arguments, files) if reads_others else []
        return PolicyReads(needed_repositories, files, base)

    @property
    def base_source(self) -> JobSource | None:
        """The source that brings the base of the adapter that it starts from; None if none does."""
        reads = self.reads
        return adapter.find_base_source(self.sources, reads.base, reads.names) if reads and reads.base else None
