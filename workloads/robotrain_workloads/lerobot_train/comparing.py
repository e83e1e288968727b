"""What is wrong with the datasets of a job, each by itself and beside the others. Standard library only."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source

from robotrain_workloads.lerobot_train import alike, dataset

DESCRIBED = {"dataset": (dataset.INFO.as_posix(),)}


def wrong_described(document: JobDocument, described: Mapping[Source, Path]) -> Iterator[str]:
    """One sentence for each thing that descriptions alone tell. described: the folder that holds that of each."""

    def wrong(folder: Path, name: str) -> Iterator[str]:
        try:
            found = dataset.info(folder, name)
        except (OSError, ValueError) as error:
            yield str(error)
            return
        yield from dataset.wrong_description(found, name, convert=converts(document))

    yield from _wrong(document, described, wrong)


def wrong_data(document: JobDocument, data: Mapping[Source, Path]) -> Iterator[str]:
    """One sentence for each thing that small files tell. data: the folder of each."""
    yield from _wrong(document, data, lambda folder, name: dataset.wrong(folder, name, convert=converts(document)))


def _wrong(
    document: JobDocument, folders: Mapping[Source, Path], judge: Callable[[Path, str], Iterator[str]]
) -> Iterator[str]:
    good = []
    for source in dict.fromkeys(datasets(document, folders)):
        said = list(judge(folders[source], source.uri))
        yield from said
        if not said:
            good.append((source.uri, dataset.info(folders[source])))
    yield from alike.differences(good)


def converts(document: JobDocument) -> bool:
    """Whether datasets of v2.1 are to be converted."""
    return document.parameters["convert_v21"] is True


def datasets(document: JobDocument, data: Mapping[Source, Path]) -> list[Source]:
    """Those that are there, in the order they were given: one given twice counts twice."""
    return [source for source in document.sources if source.role == "dataset" and source in data]
