"""What is wrong with the inputs of an evaluation, and with where its results go, before anything is built."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source

from robotrain_workloads.lerobot_eval import episode_list, evaluated, fit, held_out
from robotrain_workloads.lerobot_train import attempt, comparing, dataset, policy, publishing_to

RESULTS = "eval_results"


def wrong(document: JobDocument, data: Mapping[Source, Path], output: Path) -> Iterator[str]:
    """One sentence for each thing wrong. data: what is here already. output: the folder for results."""
    yield from comparing.wrong_data(document, data)
    unreadable = list(_unreadable(document, data))
    yield from unreadable
    yield from fit.unlike(document, data)
    yield from _episodes(document, data)
    yield from _taken(document, output)
    yield from publishing_to.unwritable(str(document.parameters["publish_url"] or ""), output, "results")


def _unreadable(document: JobDocument, data: Mapping[Source, Path]) -> Iterator[str]:
    """Of the policy's own files; of any type that LeRobot may know."""
    if evaluated.source(document.sources) not in data:
        return
    model = evaluated.model(data)
    assert model is not None
    try:
        found = policy.settings(model)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    if not found.get("type"):
        yield f"{model} {policy.UNTYPED}"
    yield from policy.torn(model, whole=True)


def _episodes(document: JobDocument, data: Mapping[Source, Path]) -> Iterator[str]:
    """Episodes that are asked for, and are not there."""
    asked = document.parameters["replay_episodes"]
    given = [source for source in document.sources if source.role == "dataset"]
    if asked is None or not given or any(source not in data for source in given):
        return
    with suppress(OSError, ValueError, KeyError, TypeError):  # what is wrong with a dataset is said already
        total = sum(int(dataset.info(data[source])["total_episodes"]) for source in given)
        yield from _missing(str(asked), total)
    if asked == episode_list.HELD_OUT and len(given) == 1 and evaluated.source(document.sources) in data:
        yield from _unknown(data[given[0]], evaluated.model(data))


def _unknown(root: Path, model: Path | None) -> Iterator[str]:
    if why := held_out.unknown(root, model):
        yield f"{held_out.FLAG} {episode_list.HELD_OUT}: {why}\n{held_out.FLAG} {episode_list.ALL}"


def _missing(asked: str, total: int) -> Iterator[str]:
    try:
        episode_list.chosen(episode_list.read(asked) or [], total)
    except ValueError as error:
        yield f"{held_out.FLAG} {asked}: {error}"


def _taken(document: JobDocument, output: Path) -> Iterator[str]:
    """The folder may be new, or hold what an earlier attempt of this very run left there."""
    if output.exists() and not output.is_dir():
        yield f"the output folder {output} is a file\n--output-dir FOLDER"
    elif (output / RESULTS).exists() and not attempt.is_own(Path(document.placement.work), output):
        yield f"the output folder {output} holds the results of another evaluation: name a new one with --output-dir"
