"""`lerobot-eval` in the container: environment, problems with inputs, the command, and what it publishes."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from robotrain_runtime.contract.container_plugin import (
    DataPreparation,
    GpuRequirement,
    PublishingSpec,
    PythonEnvironment,
    TrackingSpec,
    WorkCommand,
)
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.target import ArtifactTarget

from robotrain_workloads.lerobot import dataset, dataset_preparation, policy, publish_url, run_setup, versions
from robotrain_workloads.lerobot_eval import command, tracking
from robotrain_workloads.lerobot_eval.command import RESULTS_FOLDER
from robotrain_workloads.lerobot_eval.inputs import compatibility, held_out, selection

LOCKS = Path(__file__).parent / "locks"
ENVIRONMENT = PythonEnvironment(
    lock=LOCKS / "eval.txt",
    python=versions.PYTHON,
    gib=versions.GIB,
    platform=versions.PLATFORM,
    required_packages={"lerobot": versions.LEROBOT_SERIES},
)
ALOHA_ENVIRONMENT = replace(ENVIRONMENT, lock=LOCKS / "aloha.txt", gib=10.0)

_POLICY_FILES = (policy.CONFIG_FILE, policy.PROCESSOR_FILES[0])
DESCRIBED = {
    **dataset_preparation.DESCRIPTION_FILES,
    "policy": (*_POLICY_FILES, *(f"{policy.MODEL_FOLDER}/{name}" for name in _POLICY_FILES)),
}


def environment(document: JobDocument) -> PythonEnvironment:
    """What this very job runs in: only those of ALOHA need MuJoCo."""
    return ALOHA_ENVIRONMENT if document.parameters["env"] == "aloha" else ENVIRONMENT


def compare(document: JobDocument, described: Mapping[JobSource, Path]) -> Iterator[str]:
    """What is wrong with the inputs, told from their descriptions alone: also whether the policy fits the rest."""
    yield from dataset_preparation.find_described_problems(document, described)
    yield from compatibility.find_mismatches(document, described)


def prepare(
    document: JobDocument, data: Mapping[JobSource, Path], digests: Mapping[JobSource, str]
) -> DataPreparation | None:
    """One dataset of several, as for a training; None when the one is used as it is."""
    return dataset_preparation.plan_preparation(document, data, digests)


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """What LeRobot would stumble over, as far as small files tell it."""
    yield from find_input_problems(
        document, data, run_setup.resolve_output_folder(document, Path(document.placement.work))
    )


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """The launcher, inside the run's environment."""
    arguments = command.make_launcher_arguments(document, data, run_setup.resolve_output_folder(document, work), work)
    return WorkCommand(arguments=tuple(arguments), environ=run_setup.make_hub_environment(document.sources))


def gpus(document: JobDocument) -> GpuRequirement | None:
    """What it asks of the machine's GPUs; None when it also runs without."""
    if document.parameters["device"] != "cuda":
        return None
    return GpuRequirement(count=1, cuda=versions.read_cuda_version(environment(document).lock))


def tracked(document: JobDocument) -> TrackingSpec:
    """What the tracking run starts with."""
    return tracking.describe_tracking_run(document)


def publishing(document: JobDocument, data: Mapping[JobSource, Path]) -> PublishingSpec:
    """What a registered policy is told."""
    return PublishingSpec(
        register=str(document.parameters["register_model"] or ""),
        description=tracking.describe_model(document, data),
        tags=tracking.make_model_tags(document, data),
        evaluated_on=tracking.make_evaluation_tags(document),
        lineage=tracking.make_lineage(document, data),
    )


def targets(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[ArtifactTarget]:
    """Where the results are copied to."""
    if said := str(document.parameters["publish_url"] or ""):
        yield ArtifactTarget(to=publish_url.parse_publish_url(said), suggestion=publish_url.OTHER_FOLDER_HINT)


def find_input_problems(document: JobDocument, data: Mapping[JobSource, Path], output: Path) -> Iterator[str]:
    """One sentence for each thing wrong. data: what is here already. output: the folder for results."""
    yield from dataset_preparation.find_data_problems(document, data)
    unreadable = list(_find_policy_problems(document, data))
    yield from unreadable
    yield from compatibility.find_mismatches(document, data)
    yield from _find_episode_problems(document, data)
    yield from _find_output_problems(document, output)
    yield from publish_url.find_write_problems(str(document.parameters["publish_url"] or ""), output, "results")


def _find_policy_problems(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Of the policy's own files; of any type that LeRobot may know."""
    if selection.find_policy_source(document.sources) not in data:
        return
    model = selection.find_policy_folder(data)
    assert model is not None
    try:
        found = policy.load_policy_settings(model)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    if not found.get("type"):
        yield f"{model} {policy.UNTYPED}"
    yield from policy.find_torn_files(model, with_processors=True)


def _find_episode_problems(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[str]:
    """Episodes that are asked for, and are not there."""
    asked = document.parameters["replay_episodes"]
    given = [source for source in document.sources if source.role == "dataset"]
    if asked is None or not given or any(source not in data for source in given):
        return
    with suppress(OSError, ValueError, KeyError, TypeError):  # what is wrong with a dataset is said already
        total = sum(int(dataset.load_dataset_info(data[source])["total_episodes"]) for source in given)
        yield from _find_missing_episodes(str(asked), total)
    if asked == selection.HELD_OUT and len(given) == 1 and selection.find_policy_source(document.sources) in data:
        yield from _find_held_out_problem(data[given[0]], selection.find_policy_folder(data))


def _find_held_out_problem(root: Path, model: Path | None) -> Iterator[str]:
    if why := held_out.explain_unknown_split(root, model):
        yield f"{held_out.REPLAY_EPISODES_FLAG} {selection.HELD_OUT}: {why}\n{held_out.REPLAY_EPISODES_FLAG} {selection.ALL}"


def _find_missing_episodes(requested: str, total: int) -> Iterator[str]:
    try:
        selection.select_episodes(selection.parse_episodes(requested) or [], total)
    except ValueError as error:
        yield f"{held_out.REPLAY_EPISODES_FLAG} {requested}: {error}"


def _find_output_problems(document: JobDocument, output: Path) -> Iterator[str]:
    """The folder may be new, or hold what an earlier attempt of this very run left there."""
    if output.exists() and not output.is_dir():
        yield f"the output folder {output} is a file\n--output-dir FOLDER"
    elif (output / RESULTS_FOLDER).exists() and not run_setup.is_own_output(Path(document.placement.work), output):
        yield f"the output folder {output} holds the results of another evaluation: name a new one with --output-dir"
