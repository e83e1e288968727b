"""The trainer's own verdict on a job's options, before the job is sent: its program is asked on this machine.

The container plugin of the workload names the command, the checker runs it: isolated, without secrets or the network,
for a limited time.
"""

import io
import os
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.container_plugin import WorkCommand
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.verdict import Verdict, parse_verdict
from robotrain_runtime.machine.disk_cache import CacheLease

from robotrain.config.values import DASHES
from robotrain.errors import Problem, Suggestion
from robotrain.external_command import CommandStartError, ProcessResult, run_command
from robotrain.messages import Messages
from robotrain.redaction import redact
from robotrain.store import files
from robotrain.submission.checker import (
    BUILD,
    FLAG,
    NONE,
    UNUSABLE,
    Checker,
    CheckOptions,
    can_build,
    find_checker,
)
from robotrain.submission.container_plugins import load_workload_container
from robotrain.submission.implied_sources import make_description_document
from robotrain.submission.packing import pack_payload
from robotrain.submission.prepare import PreparedJob

make_problem = Messages(__file__)

REFUSED = "options-refused"
SECONDS_VARIABLE = "ROBOTRAIN_CHECKER_SECONDS"
SECONDS = 60.0
"""How long a checker may take."""
LONGER = 5
"""How many times as long is offered after that."""
SLOW_SECONDS = 1.0
"""After so long a message says what is waited for."""
MAX_OUTPUT = 1 << 16
MISSING_CODE = 127
"""The exit code of a checker that does not start, as a shell has it."""
KEPT_VARIABLES = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH"),
    *("DYLD_LIBRARY_PATH", "SYSTEMROOT", "OMP_NUM_THREADS"),
)
"""The environment variables of this process that a checker gets: none can hold a secret."""
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "PYTHONNOUSERSITE": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
"""Set for every checker. A GPU is not needed, and to look for one takes a second."""


def find_option_problems(
    prepared: PreparedJob, described: Mapping[JobSource, Path], scratch: Path, options: CheckOptions
) -> Iterator[Problem]:
    """Yield why the trainer refuses the options of a job, and notes on what was not checked.

    :param described: the folders with the files that describe the job's sources; others are not known.
    :param scratch: an empty folder of this process.
    """
    plugin = load_workload_container(prepared.container_plugins)
    if plugin is None:
        return
    document = make_description_document(prepared.job, prepared.platform.name, prepared.container_plugins)
    command = plugin.check_command(document, described, scratch)
    if command is None:
        return
    # the environment of the job's program, if it has one of its own
    required_environment = plugin.program_environment(document, scratch) or plugin.environment(document)
    runs_here = prepared.platform.capabilities.feature("runs_here")
    own_environment = (
        getattr(prepared.settings, "environment", None) if runs_here else None
    )  # not each has that setting
    choice = find_checker(required_environment, options, own_environment or "")
    yield from choice.problems
    if choice.checker:
        yield from _ask_checker(prepared, command, described, scratch, choice.checker, options)
    elif not choice.is_off and not any(problem.code == UNUSABLE for problem in choice.problems):
        build = options.suggest(BUILD, "builds it once, with a PyTorch for the CPU, and keeps it")
        ways = [build] if can_build(required_environment) else []
        ways += [options.suggest("PYTHON", "a Python that has it"), options.suggest(NONE, "hides this note")]
        yield make_problem("options-unchecked.not-here", *ways, program=_name_program(prepared))


def _ask_checker(
    prepared: PreparedJob,
    command: WorkCommand,
    described: Mapping[JobSource, Path],
    scratch: Path,
    checker: Checker,
    options: CheckOptions,
) -> Iterator[Problem]:
    """Yield what the verdicts that the checker prints say, or why it gives none."""
    result = _run_checker(prepared, command, scratch, checker, options)
    reason, ways = "", list[Suggestion]()
    verdicts = [verdict for line in result.stdout.splitlines() if (verdict := parse_verdict(line))]
    if result.timed_out:
        seconds = get_time_limit()
        reason = f"it gave no answer within {seconds:g} s"
        ways.append(Suggestion(f"{SECONDS_VARIABLE}={LONGER * seconds:g}", "waits longer"))
    elif not verdicts:
        output_lines = (result.stderr or result.stdout).strip().splitlines()
        last_line = f": {redact(output_lines[-1].strip(), max_length=300)}" if output_lines else ""
        reason = f"it ended without a verdict (exit code {result.exit_code}){last_line}"
    if reason:
        ways += [options.suggest("PYTHON", "asks another Python"), options.suggest(NONE, "checks without one")]
        yield make_problem("checker-unusable.failed", *ways, where=FLAG, python=checker.python, why=reason)
        return
    uri_by_folder = {str(folder): source.uri for source, folder in described.items()} | {str(scratch): "…"}
    for verdict in verdicts:
        text = verdict.text
        for folder in sorted(uri_by_folder, key=len, reverse=True):  # one may begin as another
            text = text.replace(folder, uri_by_folder[folder])
        yield from _make_problems(prepared, checker, verdict, redact(text))


def _run_checker(
    prepared: PreparedJob, command: WorkCommand, scratch: Path, checker: Checker, options: CheckOptions
) -> ProcessResult:
    """Run the checker with the payload of the job, and a message if that takes long."""
    code, home = scratch / "code", scratch / "home"
    home.mkdir()
    flag_by_argument = dict(zip(command.arguments[1:], command.arguments, strict=False))
    modules = {module: module for module, flag in flag_by_argument.items() if flag == "-m"}  # no job carries these
    payload = pack_payload({**prepared.container_plugins, **modules})
    with zipfile.ZipFile(io.BytesIO(payload.archive)) as payload_zip:
        payload_zip.extractall(code)
    variables = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    places = {"HF_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    seconds = get_time_limit()
    message = (
        f"checking the options of {prepared.job.workload}: waiting for {checker.name} to import its trainer, "
        f"for at most {seconds:g} s …"
    )
    notice = threading.Timer(SLOW_SECONDS, options.say, [message])
    with CacheLease(files.get_cache_folder()) as lease:
        if checker.folder:
            lease.acquire(checker.folder)
        notice.start()
        try:
            return run_command(
                str(checker.python),
                *command.arguments,
                seconds=seconds,
                limit=MAX_OUTPUT,
                env=child_python.make_import_environ([code], variables) | dict(command.environ) | OFFLINE | places,
                cwd=child_python.NEUTRAL_FOLDER,
            )
        except CommandStartError as error:
            return ProcessResult(MISSING_CODE, "", str(error))
        finally:
            notice.cancel()


def get_time_limit() -> float:
    """Return how many seconds a checker may take."""
    with suppress(KeyError, ValueError):
        return max(0.1, float(os.environ[SECONDS_VARIABLE]))
    return SECONDS


def _make_problems(prepared: PreparedJob, checker: Checker, verdict: Verdict, text: str) -> Iterator[Problem]:
    if verdict.result == "unchecked":
        yield make_problem("options-unchecked.here", workload=prepared.job.workload, why=text)
    elif verdict.result in ("refused", "doubtful"):
        option_text = " ".join(verdict.options)
        yield make_problem(
            "options-doubtful" if verdict.result == "doubtful" else REFUSED,
            *verdict.ways,
            where=DASHES if option_text else "",
            given=option_text,
            program=_name_program(prepared),
            subject=redact(option_text) or "the options of this job",
            why=text.rstrip("."),
            checker=checker.name,
        )


def _name_program(prepared: PreparedJob) -> str:
    return prepared.workload.program if prepared.workload else "the trainer"
