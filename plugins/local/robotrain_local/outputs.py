"""Outputs of a finished run: copy them, register its model, or remove its folder."""

from pathlib import Path

from robotrain.model.run import Output, Reference
from robotrain.run_folder import ended_run, outputs
from robotrain_runtime.contract.event import Registered

from robotrain_local import observe, spec


def download_output(reference: Reference, output: Output, to: Path) -> None:
    """Copy one output atomically. Raise Rejected if it cannot be copied."""
    outputs.download_output(output, to)


def register_model(reference: Reference, name: str, step: int | None) -> Registered:
    """Register the checkpoint of `step`, the last one, or the evaluated policy as a version of the model `name`.

    Raise RunGone, or Rejected if the registration fails.
    """
    return ended_run.register_model(observe.find_run_folder(reference), name, step)


def remove_run(reference: Reference, dry_run: bool = False) -> int:
    """Remove the run's folder unless `dry_run` is set. Return the bytes freed. Raise RunGone, Rejected if it stays."""
    folder = observe.find_run_folder(reference)
    try:
        run = spec.read_spec(folder).run
    except (OSError, ValueError):
        run = ""
    return ended_run.remove_run_folder(folder, run, spec.SPEC_FILE, observe.read_status(folder), dry_run)
