"""What a run leaves in its folder: events, outputs; and what is done with them."""

from collections.abc import Iterable
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.run import Output, Reference, RunGone
from robotrain.run_folder import ended_run, log, outputs
from robotrain.run_folder.status import require_run_folder
from robotrain_runtime.contract.event import Registered
from robotrain_runtime.contract.step_output import STEP_FILE

from robotrain_slurm.observe.query import query_status
from robotrain_slurm.observe.step_references import read_spec, select_step
from robotrain_slurm.spec.submission_spec import HANDOVER_FOLDER, SUBMISSION_FILE

make_problem = Messages(__file__)


def find_events_file(reference: Reference) -> Path | None:
    """Return the events file in the run folder, once it is there. Raise RunGone."""
    return log.find_events_file(require_run_folder(select_step(reference)))


def list_outputs(reference: Reference) -> Iterable[Output]:
    """Return the complete checkpoints, then other files. Raise RunGone."""
    return outputs.list_outputs(require_run_folder(select_step(reference)))


def download_output(reference: Reference, output: Output, to: Path) -> None:
    """Copy one output atomically. Raise Rejected."""
    outputs.download_output(output, to)


def find_output(reference: Reference, output: Output) -> Path:
    """Return where an output is. Raise Rejected if it is gone."""
    source = Path(output.uri)
    if not source.exists():
        raise Rejected([make_problem("output-gone", given=output.uri, name=output.name)])
    return source


def register_model(reference: Reference, name: str, step: int | None) -> Registered:
    """Register the checkpoint of `step`, the last one, or the evaluated policy as a version of the model `name`.

    Raise RunGone, or Rejected if the registration fails.
    """
    payload = require_run_folder(reference) / log.PAYLOAD_FOLDER
    return ended_run.register_model(require_run_folder(select_step(reference)), name, step, payload)


def remove_run(reference: Reference, dry_run: bool = False) -> int:
    """Remove the run's folder unless `dry_run` is set. Return the bytes freed. Raise RunGone, Rejected if it stays."""
    try:
        run = read_spec(reference).run
    except RunGone:
        raise
    except Rejected:  # it has none
        run = ""
    folder, status = require_run_folder(reference), query_status(reference)
    return ended_run.remove_run_folder(folder, run, SUBMISSION_FILE, status, dry_run)


def has_step_output(reference: Reference) -> bool:
    """Return whether a later pipeline can read what a step handed over."""
    return Path(select_step(reference)["folder"], HANDOVER_FOLDER, STEP_FILE).is_file()
