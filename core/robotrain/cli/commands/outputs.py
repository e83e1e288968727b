"""`robotrain outputs`: list the outputs of a run, or download them."""

import contextlib
import functools
import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer
from robotrain_runtime.contract.deadline import DeadlineFuture
from robotrain_runtime.contract.files import is_locked, lock_file, make_atomically
from robotrain_runtime.machine import disk_cache

from robotrain.cli import output
from robotrain.cli.arguments import JsonOption, RunArgument, StepOption, check_place, open_step, option
from robotrain.cli.best_checkpoint import find_best_score
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import format_table, print_json, print_message, print_result
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model import amounts
from robotrain.model.platform import Platform
from robotrain.model.progress import Progress
from robotrain.model.run import Output, RunRecord, Status
from robotrain.redaction import redact, redact_if_secret
from robotrain.store import code_changes, code_folder, run_log, stored_job, written_files
from robotrain.sweeps import results

make_problem = Messages(__file__)

CHECKPOINT_HELP = "Only checkpoints: of one step, the last (of each trial), the best (of the best trial), or all."
BEST = "best"
MAX_SHOWN = 3
"""How many of the files that exist already are named."""
PROGRESS_SECONDS = 0.5
STOP_SECONDS = 1.0
"""How long an interrupted download may take to notice that its folder is gone."""
PART_SUFFIX, LOCK_FILE = ".part", ".lock"
"""The end of the name of a folder into which an output is copied, and the file in it that the copying process locks."""


def outputs(
    ctx: typer.Context,
    run: RunArgument = "",
    to: Annotated[Path | None, option("--to", "FOLDER", "Download to this folder.")] = None,
    step: StepOption = "",
    checkpoint: Annotated[str, option("--checkpoint", "STEP|last|best|all", CHECKPOINT_HELP)] = "",
    json: JsonOption = False,
) -> None:
    """List the complete checkpoints and other outputs of a run so far; with --to, download them.

    robotrain outputs --checkpoint last --to ./policy latest
    """
    if to:
        check_place(to, "--to", is_folder=True)
    record, platform = open_step(ctx, run, step)
    if checkpoint == BEST:
        record, platform, checkpoint = _find_best(ctx, record, platform)
    run_outputs = list(platform.engine.outputs(record.reference))
    if not run_outputs:
        status = platform.engine.status(record.reference)
        message = "outputs-missing.none" if status.finished else "outputs-missing.not-yet"
        # an empty list would look like success
        raise Rejected([make_problem(message, run=record.run, why=_explain_no_outputs(status, record, platform))])
    chosen_outputs = _select_outputs(run_outputs, checkpoint, record)
    has_checkpoint = any(output.kind == "checkpoint" for output in run_outputs)
    if record.makes == "checkpoints" and not (has_checkpoint or _read_progress(record, platform).evaluated):
        print_message("there is no checkpoint among them")
    downloaded = download_outputs(chosen_outputs, platform, record, to) if to else {}
    if to:
        _leave_out_of_code(record, to, downloaded)
    if json:
        print_json({"run": record.run, "outputs": [_dump_output(output, downloaded) for output in chosen_outputs]})
    elif not to:
        rows = [("NAME", "SIZE", "WHERE")]
        for output in chosen_outputs:
            size = "" if output.size is None else amounts.format_size(output.size)
            rows.append((redact_if_secret(output.name), size, redact_if_secret(output.uri)))
            rows += [("", "", redact_if_secret(address)) for address in output.addresses]
        print_result(format_table(rows))
        print_message(f"  robotrain outputs --to FOLDER {record.run}    download them")
    else:
        print_result("\n".join(str(path) for path in downloaded.values()))


def _find_best(ctx: typer.Context, record: RunRecord, platform: Platform) -> tuple[RunRecord, Platform, str]:
    """Return the run with the best checkpoint, and which one it is: of a sweep, the last one of its best trial. Raise
    Rejected without scores.
    """
    flag = "--checkpoint"
    if not record.is_sweep:
        best_score = find_best_score(record, get_plugins(ctx), flag, Suggestion(f"{flag} last"))
        print_message(best_score.format_choice())
        return record, platform, str(best_score.scored.step)
    sweep_results = results.read_results(record.run)
    best_trial = sweep_results.best if sweep_results else None
    if sweep_results is None or best_trial is None:
        raise Rejected([make_problem("scores-missing", where=flag, run=record.run)])
    print_message(f"the best trial is {results.describe_best(sweep_results)}")
    return *open_step(ctx, record.run, best_trial.name), "last"


def _leave_out_of_code(record: RunRecord, to: Path, names: Iterable[str]) -> None:
    """Note outputs that were downloaded into the folder of a run's code: they are no code of its next run."""
    folder = code_changes.find_folder(stored_job.read_stored_sources(record.run))
    if folder is None or not to.resolve().is_relative_to(folder.resolve()):
        return
    written_files.note_downloads(to, names)
    print_message(f"  they are in the folder of the code {folder}, and are not sent with it:")
    print_message(f"  a line !NAME in its {code_folder.OWN_IGNORE_FILE} sends one")


def select_checkpoints(
    record: RunRecord, platform: Platform, checkpoint: str, flag: str, *, takes_last: bool = True
) -> list[Output]:
    """Return the checkpoints of a run that an option names: `all`, `last`, or that of a step. Raise Rejected.

    :param takes_last: whether the option takes the word `last`.
    """
    run_outputs = [output for output in platform.engine.outputs(record.reference) if output.kind == "checkpoint"]
    return _select_outputs(run_outputs, checkpoint or "all", record, flag, takes_last=takes_last)


def _read_progress(record: RunRecord, platform: Platform) -> Progress:
    """Return what the log of a run tells; nothing if it cannot be read."""
    return run_log.read_run_log(record, platform, on_error=lambda error: None)[0]


def _select_outputs(
    run_outputs: Sequence[Output],
    checkpoint: str,
    record: RunRecord,
    flag: str = "--checkpoint",
    *,
    takes_last: bool = True,
) -> list[Output]:
    """Return the requested outputs; raise Rejected when there is none."""
    if not checkpoint:
        return list(run_outputs)
    checkpoints = [output for output in run_outputs if output.kind == "checkpoint"]
    selected_outputs = checkpoints
    if checkpoint == "last":
        last_by_folder = {output.name.rpartition("/")[0]: output for output in checkpoints}
        selected_outputs = list(last_by_folder.values())  # of each trial of a sweep, of each step of a pipeline
    elif checkpoint != "all":
        selected_outputs = [
            output for output in checkpoints if checkpoint.isdecimal() and output.step == int(checkpoint)
        ]
    if not selected_outputs:
        steps = list(dict.fromkeys(str(checkpoint.step) for checkpoint in checkpoints))  # trials have the same ones
        step_phrase = "" if checkpoint in ("last", "all") else f" of step {redact(checkpoint)}"
        words = ["last"] * takes_last + steps[-3:]
        ways = [Suggestion(f"{flag} {word}") for word in words if steps]
        problem = make_problem(
            "checkpoint-missing", *ways, where=flag, run=record.run, of=step_phrase, steps=", ".join(steps) or "none"
        )
        raise Rejected([problem])
    return selected_outputs


def _explain_no_outputs(status: Status, record: RunRecord, platform: Platform) -> str:
    if status.finished and _read_progress(record, platform).has_output:
        return "What it saved is no longer there."
    return f"It has saved nothing: its state is {status.state}{': ' + status.reason if status.reason else ''}."


def _dump_output(output: Output, paths: dict[str, Path]) -> dict[str, Any]:
    """Return an output as data; the keys are an API."""
    field_names = ("name", "kind", "source", "uri", "step", "model", "digest", "size")
    path = paths.get(output.name)
    field_values = {name: getattr(output, name) for name in field_names}
    shown_values = {
        name: redact_if_secret(field_value) if isinstance(field_value, str) else field_value
        for name, field_value in field_values.items()
    }
    addresses = [redact_if_secret(address) for address in output.addresses]
    return shown_values | {"addresses": addresses, "path": str(path) if path else None}


def download_outputs(outputs: Sequence[Output], platform: Platform, record: RunRecord, to: Path) -> dict[str, Path]:
    """Download outputs to `to`, and return their paths by name.

    Raise Rejected before anything is copied when one cannot be. When a later one fails, the earlier ones stay.
    """
    target_paths = {output.name: to / output.name for output in outputs}
    raise_if_any(_find_unsafe_names(outputs))
    raise_if_any(_find_space_problems(outputs, to))
    for number, run_output in enumerate(outputs, 1):
        count = f"{number} of {len(outputs)}: " if len(outputs) > 1 else ""
        with _make_place(target_paths[run_output.name]) as scratch:
            download = DeadlineFuture(
                functools.partial(platform.engine.download, record.reference, run_output, scratch)
            )
            try:
                _show_progress(download, scratch.parent, run_output, f"{count}{run_output.name}")
            except KeyboardInterrupt:
                shutil.rmtree(scratch.parent, ignore_errors=True)  # it cannot make another file
                download.is_running(STOP_SECONDS)
                raise
            if skipped_paths := download.result():
                print_message(
                    f"  left out, as links out of {run_output.name} or no files: {redact(', '.join(skipped_paths))}"
                )
    return target_paths


@contextlib.contextmanager
def _make_place(target: Path) -> Iterator[Path]:
    """Yield a free path in a hidden folder beside `target`; what is made there takes its name when the block ends.

    Nothing else is left of the folder, nor of those of downloads that were killed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale_lock in target.parent.glob(f".{glob.escape(target.name)}.*{PART_SUFFIX}/{LOCK_FILE}"):
        if is_locked(stale_lock) is False:
            shutil.rmtree(stale_lock.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(PART_SUFFIX, f".{target.name}.", target.parent))
    try:
        with (folder / LOCK_FILE).open("wb") as lock:
            with contextlib.suppress(OSError):  # a file system without locks
                lock_file(lock.fileno())
            yield folder / target.name
            with make_atomically(target) as scratch:
                os.rename(folder / target.name, scratch)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _show_progress(download: DeadlineFuture[Any], folder: Path, run_output: Output, title: str) -> None:
    """Wait for the download into a folder; on a terminal, show its progress."""
    total_text = f" of {amounts.format_size(run_output.size)}" if run_output.size else ""

    def describe() -> str:
        return f"  {title}  {amounts.format_size(_measure_size(folder))}"

    with contextlib.ExitStack() as stack:
        if output.is_live(sys.stderr) and download.is_running(PROGRESS_SECONDS):
            from robotrain.cli.watch.live_lines import LiveLines

            stack.enter_context(
                LiveLines(sys.stderr, lambda *_: [[describe() + total_text]], PROGRESS_SECONDS, transient=True)
            )
        while download.is_running(PROGRESS_SECONDS):
            continue
    print_message(describe())


def _find_unsafe_names(outputs: Sequence[Output]) -> Iterator[Problem]:
    """Find names that lead out of the folder."""
    for run_output in outputs:
        path = PurePosixPath(run_output.name)
        if not run_output.name.isprintable() or not run_output.name or path.is_absolute() or ".." in path.parts:
            yield make_problem("output-name-unsafe", name=run_output.name)


def _find_existing(target_paths: Sequence[Path]) -> Iterator[Problem]:
    existing_paths = [*filter(os.path.lexists, target_paths)]
    if existing_paths:
        shown_paths = ", ".join(redact(str(path)) for path in existing_paths[:MAX_SHOWN])
        more = f" and {len(existing_paths) - MAX_SHOWN} more" if len(existing_paths) > MAX_SHOWN else ""
        yield make_problem(
            "output-exists", count=len(existing_paths), total=len(target_paths), paths=f"{shown_paths}{more}"
        )


def _find_space_problems(outputs: Sequence[Output], to: Path) -> Iterator[Problem]:
    """Find targets that exist, and a disk that is too small."""
    yield from _find_existing([to / output.name for output in outputs])
    needed_bytes = sum(output.size or 0 for output in outputs)
    free_bytes = disk_cache.get_free_bytes(to.absolute())
    if needed_bytes > free_bytes:
        title = f"{amounts.format_size(free_bytes)} free, {amounts.format_size(needed_bytes)} needed"
        yield make_problem("disk-too-small", given=str(to), title=title)


def _measure_size(path: Path) -> int:
    """Return the current size of a file or folder in bytes."""
    files = (
        [path]
        if path.is_file()
        else [Path(folder, name) for folder, _, filenames in os.walk(path) for name in filenames]
    )
    size = 0
    for file in files:
        with contextlib.suppress(OSError):  # renamed meanwhile
            size += file.lstat().st_size
    return size


app = make_app(outputs)
