"""Outputs of a run: what its log says about them, and their download."""

import contextlib
import importlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.progress import Progress
from robotrain.model.run import Output
from robotrain.redaction import redact
from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.event import Checkpoint, Evaluated, Published, Track
from robotrain_runtime.contract.failure import JobFailed

POLICY_TAG = "policy_artifact"
"""The tag of a run that says where among its artifacts the evaluated policy lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """models: the part of a checkpoint that is the model, by its step. tags, params: of the tracking run."""

    progress: Progress
    models: Mapping[int, str]
    tags: Mapping[str, str]
    params: Mapping[str, Scalar]

    @property
    def published_checkpoints(self) -> Iterator[Published]:
        """Checkpoints at an address; a folder of the machine is gone with it."""
        return (one for one in self.progress.published if _is_url(one.to))

    @property
    def results_url(self) -> str:
        """The address that the results were copied to; empty for none."""
        return next((to for to in reversed(self.progress.results) if _is_url(to)), "")

    @property
    def results_name(self) -> str:
        """The name of the folder of the results."""
        return PurePosixPath(self.evaluation.results).name if self.evaluation else ""

    @property
    def evaluation(self) -> Evaluated | None:
        """What came of an evaluation."""
        return self.progress.evaluated

    @property
    def run_id(self) -> str:
        """Of the tracking run; empty when it is not known."""
        return str((self.progress.tracking or {}).get("run_id") or "")

    @property
    def experiment_id(self) -> str:
        """Of the tracking run; empty when it is not known."""
        return str((self.progress.tracking or {}).get("experiment_id") or "")

    def find_artifacts(self, run_id: str) -> dict[int, str]:
        """Where the model of a step, or the evaluated policy, lies among the artifacts of the tracking run."""
        found = {one.step: at for one in self.progress.published if (at := _parse_artifact(one.to, run_id))}
        if self.evaluation and (policy := self.tags.get(POLICY_TAG)):
            found[self.evaluation.step] = policy
        return found


def parse_run_log(lines: Iterable[str]) -> RunLog:
    """All that a log says by now."""
    known, models = Progress(), dict[int, str]()
    tags, params = dict[str, str](), dict[str, Scalar]()
    for line in lines:
        if record := event.parse_event(line):
            known.add_event(record)
            if isinstance(record.event, Checkpoint):
                models[record.event.step] = record.event.model
            elif isinstance(record.event, Track):
                tags |= record.event.tags
                params |= record.event.params
    return RunLog(progress=known, models=models, tags=tags, params=params)


def _is_url(to: str) -> bool:
    return to.startswith("https://")


def _parse_artifact(to: str, run_id: str) -> str:
    found = re.fullmatch(rf"runs:/{re.escape(run_id)}/(.+)", to) if run_id else None
    return found[1] if found else ""


def download_atomically(output: Output, to: Path, fetch: Callable[[Path], None]) -> None:
    """Have `fetch` fill a new folder beside `to`, which is whole as soon as it is there. Raises Rejected, as `fetch`
    may when what came is nothing, or not as it was saved.
    """
    if os.path.lexists(to):
        raise Rejected([make_download_problem("output-exists", "there is something of that name already", str(to))])
    scratch = to.with_name(f".{to.name}.{os.urandom(4).hex()}.part")
    title = f"{output.name} could not be brought"
    try:
        scratch.mkdir(parents=True)
        fetch(scratch)
        os.rename(scratch, to)
    except JobFailed as failed:
        why = redact(failed.reason, max_length=1000)
        raise Rejected([make_download_problem("output-not-copied", title, output.uri, why)]) from None
    except OSError as error:  # shutil.Error is one
        raise Rejected(
            [make_download_problem("output-not-copied", title, str(to), f"{error.strerror or error}.")]
        ) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def require_content(output: Output, folder: Path, suggestion: Suggestion) -> None:
    """Raise Rejected when nothing came. again: what shows what lies there now."""
    if not any(folder.iterdir()):
        title = f"{output.name} is not there any more: nothing came of it"
        raise Rejected([make_download_problem("output-gone", title, output.uri, "", suggestion)])


def verify_checkpoint(output: Output, folder: Path, submission: str, run: str, *, complete: bool) -> None:
    """Raise Rejected when a checkpoint did not come as it was saved, or is another's by its seal.

    submission, run: whose it is to be; no run: anybody's. complete: whether every file of it has to be there.
    """
    if complete and (wrong := checkpoint.validate_checkpoint(folder)):
        title = f"{output.name} did not come as it was saved"
        why = f"{wrong.replace(str(folder), output.uri)}."
        raise Rejected([make_download_problem("output-not-copied", title, output.uri, why)])
    if (made := checkpoint.read_manifest(folder)) and is_foreign_checkpoint(made, submission, run):
        title = f"{output.name} is not of this run any more"
        whose = f"{made.run} ({made.submission})" if made.submission else made.run
        raise Rejected([make_download_problem("output-not-copied", title, output.uri, f"Its seal names {whose}.")])


def is_foreign_checkpoint(manifest: CheckpointManifest, submission: str, run: str) -> bool:
    """Whether a checkpoint says that it is not of this run, in this very submission. run: empty for anybody's."""
    return manifest.run != (run or manifest.run) or manifest.submission not in ("", submission)


def make_download_problem(code: str, title: str, given: str, why: str = "", *instead: Suggestion) -> Problem:
    """What kept an output from coming. given: where it lies, or where it was to go."""
    return Problem(code=code, stage=Stage.SUBMIT, title=title, given=redact(given), why=why, suggestions=instead)


def download_blobs(kind: str, uri: str, to: Path) -> None:
    """Copy it into the folder `to`. kind: the source kind that reads it. What came stays in the cache for the next
    time. Raises robotrain_runtime.contract.failure.JobFailed, whose reason may hold what must not be shown, and OSError.
    """
    from robotrain.plugins.manager import Plugins
    from robotrain.store import files
    from robotrain_runtime.contract import plugin_loader
    from robotrain_runtime.contract.container_plugin import ContainerContext
    from robotrain_runtime.contract.document import JobSource
    from robotrain_runtime.contract.failure import JobFailed
    from robotrain_runtime.environments import environment
    from robotrain_runtime.process.stop import StopSignal

    source = JobSource(role="resume", kind=kind, uri=uri)
    half = importlib.import_module(Plugins().source_kinds()[source.kind].container_plugin)
    carrier, cache = (
        plugin_loader.load_batch_fetcher(plugin_loader.get_batch_fetcher_name(half)),
        files.get_cache_folder(),
    )
    wanted = carrier.ENVIRONMENT
    built = environment.build_environment(wanted.lock, wanted.python, cache, _print_progress, StopSignal())
    place = ContainerContext(cache=cache, python=environment.get_python(built), log_line=_print_progress)
    with contextlib.closing(carrier.deliver([source], {source.kind: half}, place, {})) as delivery:
        (found,) = delivery.survey()
        if found.problems:
            raise JobFailed("; ".join(sentence.replace("\n", ": ") for sentence in found.problems))
        shutil.copytree(delivery.fetch(lambda far: None)[source], to, dirs_exist_ok=True)


def _print_progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
