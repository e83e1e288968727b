"""Outputs of a run on a remote engine: found in its log, and downloaded."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.event import Checkpoint, Evaluated, Track
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.contract.files import make_atomically

from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.progress import Progress
from robotrain.model.run import Output
from robotrain.redaction import redact

make_problem = Messages(__file__)

BLOB_KIND, HUB_KIND = "blob_url", "huggingface"
"""The source kinds of published outputs."""
HUB_PREFIX = "hf://"
"""Begins the address of a checkpoint on the Hub, but not the text that its source kind prints."""
POLICY_TAG = "policy_artifact"
"""The tag of a run that holds the artifact path of the evaluated policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """Progress, outputs and tracking run of a run, parsed from its log."""

    progress: Progress
    models: Mapping[int, str]
    """The path of the model in each checkpoint, by step."""
    tags: Mapping[str, str]
    params: Mapping[str, Scalar]
    trimmed: bool = False
    """Whether the engine has dropped its beginning."""

    def list_published(self) -> Iterator[Output]:
        """Yield the checkpoints and results that were published to a URL; a folder of the machine is gone with it."""
        for published_event in self.progress.published:
            if published_event.to.startswith("https://"):
                yield self.make_checkpoint(published_event.step, BLOB_KIND, published_event.to)
            elif published_event.to.startswith(HUB_PREFIX):
                yield self.make_checkpoint(published_event.step, HUB_KIND, make_output_uri(published_event.to))
        if self.results_url:
            yield Output(name=self.results_name, kind="file", source=BLOB_KIND, uri=self.results_url)

    def make_checkpoint(self, step: int, source: str, uri: str) -> Output:
        """Return a checkpoint as an output. `source`: the source kind that reads `uri`."""
        name = make_checkpoint_name(step)
        model = self.models.get(step, "")
        addresses = self.progress.list_addresses(step)
        other_addresses = tuple(address for address in addresses if make_output_uri(address) != uri)
        return Output(
            name=name, kind="checkpoint", source=source, uri=uri, step=step, model=model, addresses=other_addresses
        )

    @property
    def results_url(self) -> str:
        """The URL that the results were copied to; empty if none."""
        return next((to for to in reversed(self.progress.results) if to.startswith("https://")), "")

    @property
    def results_name(self) -> str:
        """The name of the results folder."""
        return PurePosixPath(self.evaluation.results).name if self.evaluation else ""

    @property
    def evaluation(self) -> Evaluated | None:
        """The result of an evaluation."""
        return self.progress.evaluated

    @property
    def run_id(self) -> str:
        """The id of the tracking run, from its own line or the address of an artifact; empty if it is not known."""
        logged_run_id = str((self.progress.tracking or {}).get("run_id") or "")
        artifacts = (
            re.fullmatch(r"runs:/([^/]+)/.+", published_event.to) for published_event in self.progress.published
        )
        return logged_run_id or next((match[1] for match in artifacts if match), "")

    @property
    def experiment_id(self) -> str:
        """The id of the tracking run's experiment; empty if it is not known."""
        return str((self.progress.tracking or {}).get("experiment_id") or "")

    def find_artifacts(self, run_id: str) -> dict[int, str]:
        """Return the artifact path of each model, or of the evaluated policy, by step."""
        start = f"runs:/{run_id}/"
        published_events = self.progress.published if run_id else ()
        paths = {
            published_event.step: published_event.to.removeprefix(start)
            for published_event in published_events
            if published_event.to.startswith(start)
        }
        if self.evaluation and (policy := self.tags.get(POLICY_TAG)):
            paths[self.evaluation.step] = policy
        return paths


def parse_run_log(lines: Iterable[str], trimmed: bool = False) -> RunLog:
    """Parse the lines of a log."""
    progress = Progress()
    models = dict[int, str]()
    tags = dict[str, str]()
    params = dict[str, Scalar]()
    for line in lines:
        if record := event.parse_event(line):
            progress.add_event(record)
            if isinstance(record.event, Checkpoint):
                models[record.event.step] = record.event.model
            elif isinstance(record.event, Track):
                tags |= record.event.tags
                params |= record.event.params
    return RunLog(progress=progress, models=models, tags=tags, params=params, trimmed=trimmed)


def make_output_uri(address: str) -> str:
    """Return the address of a published checkpoint as its source kind prints it."""
    return address.removeprefix(HUB_PREFIX)


def make_checkpoint_name(step: int) -> str:
    """Return the name of a checkpoint among the outputs."""
    return f"checkpoints/{step:06}"


def download_atomically(output: Output, to: Path, fetch: Callable[[Path], None]) -> None:
    """Call `fetch` with a new path beside `to`, where it makes a file or a folder, then rename that to `to`.

    Raise Rejected if `to` exists, or for what `fetch` raises: OSError, or JobFailed, whose reason may hold secrets.
    """
    if os.path.lexists(to):
        raise Rejected([make_problem("output-exists", given=str(to))])
    try:
        with make_atomically(to) as scratch:
            fetch(scratch)
    except JobFailed as error:
        raise _make_copy_rejection(output, output.uri, redact(error.reason, max_length=1000)) from None
    except OSError as error:
        reason = (
            error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror or error
        )  # of the first file
        raise _make_copy_rejection(output, str(to), f"{reason}.") from None


def _make_copy_rejection(output: Output, path: str, reason: str) -> Rejected:
    return Rejected([make_problem("output-not-copied.failed", given=path, name=output.name, why=reason)])


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedOutput:
    """What a downloaded output must be."""

    run: str
    """The run that it must belong to; empty for any."""
    submission: str
    """The submission that it must belong to, if its manifest names one."""
    sealed: bool
    """Whether it must have a manifest; one that it has must always be complete."""
    listing: Suggestion
    """What lists the present outputs."""


def download_verified(output: Output, to: Path, fetch: Callable[[Path], None], expected_output: ExpectedOutput) -> None:
    """Download an output to the new folder `to`, as `download_atomically` does, and check what came.

    Raise Rejected also if nothing came, or if it is damaged or belongs to another run.

    :param fetch: downloads into an empty folder.
    """

    def fetch_and_verify(folder: Path) -> None:
        folder.mkdir()
        fetch(folder)
        if not any(folder.iterdir()):
            raise Rejected([make_problem("output-gone", expected_output.listing, given=output.uri, name=output.name)])
        has_manifest = expected_output.sealed or (folder / MANIFEST).exists()
        if has_manifest and (damage := checkpoint.validate_checkpoint(folder)):
            damage = damage.replace(str(folder), output.uri)
            problem = make_problem("output-not-copied.damaged", given=output.uri, name=output.name, damage=damage)
            raise Rejected([problem])
        manifest = checkpoint.read_manifest(folder)
        if manifest and is_foreign_checkpoint(manifest, expected_output.submission, expected_output.run):
            owner = f"{manifest.run} ({manifest.submission})" if manifest.submission else manifest.run
            problem = make_problem("output-not-copied.other-run", given=output.uri, name=output.name, owner=owner)
            raise Rejected([problem])

    download_atomically(output, to, fetch_and_verify)


def is_foreign_checkpoint(manifest: CheckpointManifest, submission: str, run: str) -> bool:
    """Return whether a checkpoint belongs to another run or submission. An empty `run` accepts any run."""
    return manifest.run != (run or manifest.run) or manifest.submission not in ("", submission)


def print_progress(line: str) -> None:
    """Print a line to the user."""
    print(line, file=sys.stderr, flush=True)
