"""Datasets as arguments of `data check`: any source that `submit` takes for one, and what is asked about it."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.cli.output import print_message
from robotrain.config.sources import parse_source
from robotrain.config.values import Origin, SourceText
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.source import Source, SourceError, SourceKind
from robotrain.nearest_name import find_nearest_name
from robotrain.plugins import manager
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.submission.data_check import make_remote_files
from robotrain_runtime.contract.document import JobSource

from robotrain_workloads.data_command import process
from robotrain_workloads.data_command.process import InspectedDataset

if TYPE_CHECKING:
    from robotrain.model.data_report import RemoteFiles


make_problem = Messages(__file__)

COMMAND = "robotrain data check"
MAX_FOLDERS = 3
ROLE, ARGUMENT = "dataset", "DATASET"
LOCAL_KIND, HUB_KIND = "local_path", "huggingface"


class GivenDataset(NamedTuple):
    """A dataset of the line."""

    text: str
    source: Source

    @property
    def folder(self) -> Path | None:
        """Its folder, if it is on this machine."""
        return Path(str(self.source)) if self.source.kind == LOCAL_KIND else None


def parse_datasets(dataset_texts: Sequence[str], plugins: Plugins) -> list[GivenDataset]:
    """Return the datasets that the arguments of `data check` name. Raise Rejected with the problems of all."""
    kinds = plugins.source_kinds()
    kind_names = tuple(name for name, kind in kinds.items() if ROLE in kind.roles)
    parsed_datasets = list[GivenDataset]()
    problems = list[Problem]()
    for dataset_text in dataset_texts:
        possible_kinds = (
            (LOCAL_KIND,) if Path(dataset_text).expanduser().is_dir() else kind_names
        )  # it may look like a name of the Hub
        source_text = SourceText(ROLE, possible_kinds, dataset_text, Origin("flag", ARGUMENT), Path.cwd())
        source = parse_source(source_text, kinds)
        if isinstance(source, Problem):
            readable_kinds = [name for name in possible_kinds if _is_read_from_here(kinds[name])]
            corrected_source = parse_source(
                source_text._replace(kinds=tuple(readable_kinds)), kinds
            )  # names only what would help
            source = corrected_source if isinstance(corrected_source, Problem) else source
            flags = {flag.flag for kind in kinds.values() if (flag := kind.roles.get(ROLE))}
            problems.append(_express_problem(source, flags))
        elif missing_problem := _find_missing_folder(dataset_text, source):
            problems.append(missing_problem)
        else:
            parsed_datasets.append(GivenDataset(dataset_text, source))
    if problems:
        raise Rejected(problems)
    return parsed_datasets


def _is_read_from_here(kind: SourceKind) -> bool:
    return kind.name == LOCAL_KIND or bool(kind.pinning and kind.pinning.list_files)


def require_folders(datasets: Sequence[GivenDataset]) -> None:
    """Raise Rejected if a dataset is elsewhere, whose pictures are not all read from here."""
    remote_datasets = [dataset for dataset in datasets if dataset.folder is None]
    if remote_datasets:
        raise Rejected(
            [make_problem("source-invalid.decode-elsewhere", given=redact(dataset.text)) for dataset in remote_datasets]
        )


def _find_missing_folder(text: str, source: Source) -> Problem | None:
    """Return the problem of a folder that does not exist; of a name that may be of the Hub, only if one is near."""
    path = Path(text).expanduser()
    if path.is_file():
        return make_problem("source-invalid.dataset-file", where=ARGUMENT, given=redact(text))
    if path.exists() or source.kind not in (LOCAL_KIND, HUB_KIND):
        return None
    folder_names = [folder.name for folder in path.parent.iterdir() if folder.is_dir()] if path.parent.is_dir() else []
    nearest_name = find_nearest_name(path.name, folder_names)
    is_path = text.startswith(".") or ("/" in text and Path(text.partition("/")[0]).is_dir())
    if not nearest_name and source.kind == HUB_KIND and not is_path:
        return None
    datasets = sorted(name for name in folder_names if (path.parent / name / "meta").is_dir())
    suggested_names = [nearest_name] if nearest_name else datasets[:MAX_FOLDERS]
    ways = [Suggestion(f"{COMMAND} {shlex.quote(str(Path(text).parent / name))}") for name in suggested_names]
    ways = ways or [Suggestion(f"{COMMAND} FOLDER")]
    return make_problem("source-invalid.no-dataset-folder", *ways, where=ARGUMENT, given=redact(text))


def suggest_elsewhere(dataset_text: str, plugins: Plugins) -> list[Suggestion]:
    """Return what a dataset that cannot be read may have meant: an example of that name, or a folder here."""
    name = dataset_text.rstrip("/").rpartition("/")[2]
    templates = [workload.template for workload in plugins.workloads().values()]
    ways = [Suggestion(f"robotrain init --example {name}", "copies that example, with its data, to a folder here")]
    is_example = any(name in template.examples for template in templates)
    folder = Suggestion(f"{COMMAND} ./FOLDER", "a folder of this machine")
    return [*(ways if is_example else ()), folder]


def _express_problem(problem: Problem, flags: set[str]) -> Problem:
    """Return a problem as `data check` says it, whose datasets are arguments, without a flag."""
    ways = []
    for way in problem.suggestions:
        flag, _, dataset_text = way.text.partition(" ")
        ways.append(Suggestion(f"{COMMAND} {dataset_text}", way.remark) if flag in flags and dataset_text else way)
    title = problem.title
    for flag in sorted(flags, key=len, reverse=True):
        title = title.replace(flag, ARGUMENT)
    return dataclasses.replace(problem, title=title, suggestions=tuple(ways))


def inspect_given(
    dataset: GivenDataset,
    questions: Mapping[str, Mapping[str, Any]],
    progress: Callable[[int, int], None],
) -> InspectedDataset:
    """Return the answers to questions about a dataset. Raise InspectionFailed."""
    if dataset.folder is not None:
        return process.inspect_dataset(dataset.folder, questions, find_python, progress=progress)
    try:
        if files := _find_remote_files(dataset):
            return process.inspect_dataset(files, questions, find_python, progress=progress)
    except SourceError as error:
        raise process.InspectionFailed(redact(error.why.rstrip("."))) from None
    raise process.InspectionFailed(
        f"files of a {dataset.source.kind} are not read from here: copy the dataset into a folder"
    )


def _find_remote_files(dataset: GivenDataset) -> RemoteFiles | None:
    """Return how the files of a dataset are read that is elsewhere; None if they cannot be. Raise SourceError."""
    kinds = manager.get_plugins().source_kinds()
    kind = dataset.source.kind
    if not (pinning := kinds[kind].pinning):
        return None
    source = JobSource(role="dataset", kind=kind, uri=str(dataset.source), pin=pinning.resolve(dataset.source, ROLE))
    return make_remote_files(source, kinds)


def find_python() -> Path:
    """Return the Python that reads datasets; it is built on first use. Raise InspectionFailed."""
    return process.find_data_python() or process.build_data_python(print_message)
