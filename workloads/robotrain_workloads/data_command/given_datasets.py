"""Datasets as arguments of `data check`: any source that `submit` takes for one, and what is asked about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from robotrain.cli.output import print_message
from robotrain.config.sources import parse_source
from robotrain.config.values import Origin, SourceText
from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.model.source import Source, SourceError
from robotrain.plugins import manager
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.submission.data_check import make_remote_files
from robotrain_runtime.contract.document import JobSource

from robotrain_workloads.data_command import process
from robotrain_workloads.data_command.process import InspectedDataset

if TYPE_CHECKING:
    pass


make_problem = Messages(__file__)

ROLE, ARGUMENT = "dataset", "DATASET"
LOCAL_KIND = "local_path"


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
    readable_kinds = tuple(
        name
        for name, kind in kinds.items()
        if ROLE in kind.roles and (name == LOCAL_KIND or (kind.pinning and kind.pinning.list_files))
    )
    parsed_datasets = list[GivenDataset]()
    problems = list[Problem]()
    for dataset_text in dataset_texts:
        path = Path(dataset_text).expanduser()
        possible_kinds = (LOCAL_KIND,) if path.is_dir() else readable_kinds  # it may look like a name of the Hub
        origin = Origin("flag", ARGUMENT)
        source = parse_source(SourceText(ROLE, possible_kinds, dataset_text, origin, Path.cwd()), kinds)
        if isinstance(source, Problem):
            problems.append(make_problem("source-invalid.dataset", given=redact(dataset_text)))
        elif source.kind == LOCAL_KIND and not path.is_dir():
            problems.append(make_problem("source-invalid.no-dataset-folder", given=redact(dataset_text)))
        else:
            parsed_datasets.append(GivenDataset(dataset_text, source))
    if problems:
        raise Rejected(problems)
    return parsed_datasets


def require_folders(datasets: Sequence[GivenDataset]) -> None:
    """Raise Rejected if a dataset is elsewhere, whose pictures are not all read from here."""
    remote_datasets = [dataset for dataset in datasets if dataset.folder is None]
    if remote_datasets:
        raise Rejected(
            [make_problem("source-invalid.decode-elsewhere", given=redact(dataset.text)) for dataset in remote_datasets]
        )


def inspect_given(
    dataset: GivenDataset,
    questions: Mapping[str, Mapping[str, Any]],
    progress: Callable[[int, int], None],
) -> InspectedDataset:
    """Return the answers to questions about a dataset. Raise InspectionFailed."""
    if dataset.folder is not None:
        return process.inspect_dataset(dataset.folder, questions, find_python, progress=progress)
    kinds, kind = manager.get_plugins().source_kinds(), dataset.source.kind
    pinning = kinds[kind].pinning
    assert pinning
    try:
        pin = pinning.resolve(dataset.source, ROLE)
        files = make_remote_files(JobSource(role="dataset", kind=kind, uri=str(dataset.source), pin=pin), kinds)
        assert files
        return process.inspect_dataset(files, questions, find_python, progress=progress)
    except SourceError as error:
        raise process.InspectionFailed(redact(error.why.rstrip("."))) from None


def find_python() -> Path:
    """Return the Python that reads datasets; it is built on first use. Raise InspectionFailed."""
    return process.find_data_python() or process.build_data_python(print_message)
