"""An evaluation as a document, and the folders of its sources."""

import dataclasses
from pathlib import Path

from robotrain_runtime.contract.document import JobDocument, JobSource, Placement
from robotrain_workloads.lerobot_eval.parameters import EvalParameters

PLUGIN_MODULES = {
    "workload.lerobot-eval": "robotrain_workloads.lerobot_eval.container",
    "source.local_path": "robotrain_sources.local_path.container",
}


def evaluation(work, policy=None, dataset=None, args=(), platform="here", **parameters) -> JobDocument:
    """policy, dataset: a folder, or a `Source`; dataset: also a list of them."""
    datasets = [] if dataset is None else dataset if isinstance(dataset, list) else [dataset]
    return JobDocument(
        schema=1,
        run="lerobot-eval-00000000-1",
        job="0" * 64,
        workload="lerobot-eval",
        platform=platform,
        halves=PLUGIN_MODULES,
        parameters=dataclasses.asdict(EvalParameters(**parameters)),
        placement=Placement(work=str(work), cache=str(work)),
        sources=tuple(
            _source(role, given)
            for role, several in (("policy", [policy] if policy else []), ("dataset", datasets))
            for given in several
        ),
        trainer_args=tuple(args),
    )


def folders(document: JobDocument) -> dict[JobSource, Path]:
    """Where the sources lie, by the names that are folders."""
    return {source: Path(source.uri) for source in document.sources if source.kind == "local_path"}


def options(arguments) -> dict[str, str]:
    """The launcher's options by their names; of one given several times the last."""
    own = arguments[: arguments.index("--")]
    return {name: value for name, _, value in (one.partition("=") for one in own if one.startswith("--"))}


def _source(role, given) -> JobSource:
    return given if isinstance(given, JobSource) else JobSource(role=role, kind="local_path", uri=str(given))
