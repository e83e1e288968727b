"""Jobs of LeRobot as documents, the folders of their sources, and what the container plugin makes of them; jobs of any
workload, as they are checked where they are sent.
"""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from robotrain.model.job import Job
from robotrain.model.workload import Workload
from robotrain_runtime.contract.container_plugin import WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource, Placement
from robotrain_runtime.contract.problem import Problem
from robotrain_workloads.command import container as command_container
from robotrain_workloads.command.parameters import CommandParameters
from robotrain_workloads.lerobot_eval import container as eval_container
from robotrain_workloads.lerobot_eval.parameters import EvalParameters
from robotrain_workloads.lerobot_train import container as train_container
from robotrain_workloads.lerobot_train.parameters import TrainParameters
from robotrain_workloads.lerobot_train.request import TrainingRequest, parse_request

CONTAINERS = {"command": command_container, "lerobot-train": train_container, "lerobot-eval": eval_container}
PLATFORMS = {
    "local": ("--platform", "local"),
    "osmo": ("--platform", "osmo", "--pool", "p", "--storage-account", "acct", "--tracking-uri", "none"),
    "azureml": (
        *("--platform", "azureml", "--subscription-id", "00000000-0000-4000-8000-000000000000"),
        *("--resource-group", "rg", "--workspace-name", "aml", "--compute", "gpu"),
    ),
}
"""What a line has to say of each platform."""


def make_document(workload, parameters, place, sources, args=(), platform="here") -> JobDocument:
    """sources: pairs of a role and a folder, or a `JobSource`."""
    return JobDocument(
        schema=1,
        run=f"{workload}-00000000-1",
        job="0" * 64,
        workload=workload,
        platform=platform,
        container_plugins={
            f"workload.{workload}": CONTAINERS[workload].__name__,
            "source.local_path": "robotrain_sources.local_path.container",
        },
        parameters=dataclasses.asdict(parameters),
        placement=Placement(**place),
        sources=tuple(
            source if isinstance(source, JobSource) else JobSource(role=role, kind="local_path", uri=str(source))
            for role, source in sources
        ),
        trainer_args=tuple(args),
    )


def training(dataset, place, args=(), starts=None, **parameters) -> JobDocument:
    """dataset: a folder, a `JobSource`, or a list of them; starts: folders by their role, `{"policy": folder}`."""
    if not starts and not parameters.get("reward_model"):  # as `derive_defaults` completes a job
        parameters = {"policy_type": "act", "learning_rate": 1e-4, **parameters}
    sources = [("dataset", source) for source in _as_list(dataset)]
    return make_document(
        "lerobot-train", TrainParameters(**parameters), place, [*sources, *(starts or {}).items()], args
    )


def evaluation(work, policy=None, dataset=None, args=(), platform="here", references=(), **parameters) -> JobDocument:
    """policy, dataset: a folder, or a `JobSource`; dataset: also a list of them; references: a list."""
    sources = [("policy", policy)] if policy else []
    sources += [("reference", reference) for reference in references]
    sources += [("dataset", source) for source in _as_list(dataset)]
    place = {"work": str(work), "cache": str(work)}
    return make_document("lerobot-eval", EvalParameters(**parameters), place, sources, args, platform)


def command(work: Path, *words: str, sources=(), placement=None, values=None, **parameters) -> JobDocument:
    """The document of a program of the user's own; values: parameters of the user's own."""
    place = {"work": str(work), "cache": str(work / "cache"), **(placement or {})}
    sources = [(source.role, source) for source in sources]
    made = make_document("command", CommandParameters(**parameters), place, sources, words)
    return dataclasses.replace(made, parameters={**made.parameters, **(values or {})})


def read_job(answer) -> dict:
    """The document of a job that `render --json` or `submit --dry-run --json` shows."""
    files = answer.json["files"].items()
    return json.loads(next(file["text"] for path, file in files if path.endswith("job.json")))


def _as_list(sources) -> list:
    return [] if sources is None else sources if isinstance(sources, list) else [sources]


def make_statistics(features) -> dict[str, dict]:
    """Return statistics of the features, as `meta/stats.json` has them."""
    names = ("mean", "std", "min", "max", "q01", "q10", "q90", "q99")
    statistics = {}
    for name, feature in features.items():
        is_camera, shape = feature.get("dtype") in ("image", "video"), feature.get("shape")
        is_plain = isinstance(shape, list) and all(isinstance(length, int) for length in shape)
        if shape is not None and not (is_plain and sum(shape) < 1000):
            continue
        count = 1 if shape is None else sum(shape)
        statistics[name] = dict.fromkeys(names, [[[0.5]]] * 3 if is_camera else [0.5] * count)
    return statistics


def folders(document: JobDocument) -> dict[JobSource, Path]:
    """Where the sources lie, by the names that are folders."""
    return {source: Path(source.uri) for source in document.sources if source.kind == "local_path"}


def find_problems(document: JobDocument) -> list[str]:
    """What preflight finds in the files."""
    return list(map(format_finding, CONTAINERS[document.workload].inspect(document, folders(document))))


def find_data_problems(document: JobDocument) -> list[str]:
    """What preflight finds in the files, besides the repositories that a document names and does not bring."""
    return [problem for problem in find_problems(document) if "which this job does not bring" not in problem]


def get_work(document: JobDocument) -> WorkCommand:
    """The launcher's command."""
    return CONTAINERS[document.workload].work(document, folders(document), Path(document.placement.work))


def read_options(arguments) -> dict[str, str]:
    """The options of a command with their values; of one given several times the last."""
    words = (word.partition("=") for word in arguments if word.startswith("--") and word != "--")
    return {name: value for name, _, value in words}


def read_request(arguments) -> TrainingRequest:
    """What the launcher of a training is asked for: what stands before LeRobot's options."""
    return parse_request(next(word for word in arguments if word.startswith("{")))


def check_job(workload: Workload, *sources: JobSource, args: Iterable[str] = (), **parameters) -> list[Problem]:
    """What a workload says of a job before it is sent, besides whose terms the job accepts."""
    values = dataclasses.asdict(workload.parameters(**parameters))
    job = Job(workload=workload.name, parameters=tuple(values.items()), sources=sources, trainer_args=tuple(args))
    return [problem for problem in workload.check(job) if problem.code != "eula-accepted"]


def format_finding(finding: Problem | str) -> str:
    """What is wrong and, on lines below, what to do."""
    return "\n".join([finding.title, *map(str, finding.suggestions)]) if isinstance(finding, Problem) else finding


def check_findings(findings: Iterable[Problem | str], count: int = 1, fact: str = "") -> None:
    """Assert how many findings there are (a container has no codes), and a fact in one of them, if there are any."""
    texts = [*map(format_finding, findings)]
    assert len(texts) == count, texts
    assert not texts or any(fact in text for text in texts), texts
