"""The trainer's own verdict on a job's options, before the job is sent: its program is asked on this machine.

The container plugin of the workload names the command, the checker runs it: isolated, without secrets or the network,
for a limited time. Verdicts are kept in the cache.
"""

import hashlib
import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.container_plugin import PythonEnvironment, WorkCommand, WorkloadContainerPlugin
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.verdict import Verdict, parse_verdict
from robotrain_runtime.machine.disk_cache import CacheLease

from robotrain.config.values import DASHES
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.external_command import CommandStartError, run_command
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
LONGER_REMARK = "waits longer: a trainer that was not imported for a while is read from disk first"
SLOW_SECONDS = 1.0
"""After so long a message says what is waited for."""
MAX_OUTPUT = 1 << 16
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
) -> list[Problem]:
    """Return why the trainer refuses the options of a job, and notes on what was not checked.

    :param described: the folders with the files that describe the job's sources; others are not known.
    :param scratch: an empty folder of this process.
    """
    plugin = load_workload_container(prepared.container_plugins)
    if plugin is None:
        return []
    document = make_description_document(prepared.job, prepared.platform.name, prepared.container_plugins)
    command = plugin.check_command(document, described, scratch)
    if command is None:
        return []
    required_environment = get_checked_environment(plugin, document, scratch)
    runs_here = prepared.platform.capabilities.feature("runs_here")
    environment = (
        getattr(prepared.settings, "environment", None) if runs_here else None
    )  # a platform may lack that setting
    choice = find_checker(required_environment, options, environment or "")
    if choice.checker is None:
        is_explained = choice.is_off or any(problem.code == UNUSABLE for problem in choice.problems)
        return [
            *choice.problems,
            *(() if is_explained else (_make_missing_note(prepared, required_environment, options),)),
        ]
    question = _Question(prepared, plugin, document, command, described, scratch)
    return [*choice.problems, *_ask_checker(question, choice.checker, options)]


def get_checked_environment(plugin: WorkloadContainerPlugin, document: JobDocument, scratch: Path) -> PythonEnvironment:
    """Return the environment whose program is asked: that of the job's program, if it has one of its own."""
    return plugin.program_environment(document, scratch) or plugin.environment(document)


class _Question(NamedTuple):
    """What a checker is asked."""

    prepared: PreparedJob
    plugin: WorkloadContainerPlugin
    document: JobDocument
    command: WorkCommand
    described: Mapping[JobSource, Path]
    place: Path

    def neutralize(self, text: str) -> str:
        """Return a text without the folders of this check: an equal check has the same."""
        folders = enumerate(map(str, self.described.values()))
        for index, folder in sorted(folders, key=lambda pair: -len(pair[1])):  # one may begin as another
            text = text.replace(folder, f"<source {index}>")
        return text.replace(str(self.place), "<place>")

    def complete(self, text: str) -> str:
        """Return a neutral text with the sources as the user knows them."""
        for index, source in enumerate(self.described):
            text = text.replace(f"<source {index}>", source.uri)
        return text.replace("<place>", "…")


def _ask_checker(question: _Question, checker: Checker, options: CheckOptions) -> list[Problem]:
    """Return the problems of the verdicts, from the cache if the same was asked before."""
    flag_by_argument = dict(zip(question.command.arguments[1:], question.command.arguments, strict=False))
    modules = {module: module for module, flag in flag_by_argument.items() if flag == "-m"}  # no job carries these
    payload = pack_payload({**question.prepared.container_plugins, **modules})

    def compute() -> bytes:
        return _run_checker(question, checker, payload.archive, options).encode()

    try:
        verdict_lines = files.load_or_compute(f"verdicts-{_make_key(question, checker, payload.digest)}", compute)
    except Rejected as rejected:  # nothing that would be said again tomorrow
        return [*rejected.problems]
    return _list_problems(question, checker, verdict_lines.decode())


def _list_problems(question: _Question, checker: Checker, verdict_lines: str) -> list[Problem]:
    verdicts = filter(None, map(parse_verdict, verdict_lines.splitlines()))
    return [problem for verdict in verdicts for problem in _make_problems(question, checker, verdict)]


def _make_key(question: _Question, checker: Checker, payload_digest: str) -> str:
    """Return what identifies a check: equal ones have equal verdicts."""
    digests = []
    for source, folder in question.described.items():
        for path in question.plugin.DESCRIBED.get(source.role, ()):
            with suppress(OSError):
                digests.append([source.role, path, hashlib.sha256((folder / path).read_bytes()).hexdigest()])
    words = [question.neutralize(word) for word in question.command.arguments]
    environ = sorted((name, question.neutralize(value)) for name, value in question.command.environ.items())
    parts = [words, environ, digests, checker.identity, payload_digest]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _run_checker(question: _Question, checker: Checker, archive: bytes, options: CheckOptions) -> str:
    """Return the lines of the verdicts that the checker prints, without the folders of this check.

    Raise Rejected with the problems if it fails, which says nothing of another time.
    """
    code = question.place / "code"
    home = question.place / "home"
    with zipfile.ZipFile(io.BytesIO(archive)) as payload_zip:
        payload_zip.extractall(code)
    home.mkdir()
    variables = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    places = {"HF_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    environ = child_python.make_import_environ([code], variables) | dict(question.command.environ) | OFFLINE | places
    seconds = get_time_limit()
    message = (
        f"checking the options of {question.prepared.job.workload}: waiting for {checker.name} to import its trainer, "
        f"for at most {seconds:g} s …"
    )
    with CacheLease(files.get_cache_folder()) as lease:
        if checker.folder:
            lease.acquire(checker.folder)
        notice = threading.Timer(SLOW_SECONDS, options.say, [message])
        notice.start()
        try:
            command_result = run_command(
                str(checker.python),
                *question.command.arguments,
                seconds=seconds,
                limit=MAX_OUTPUT,
                env=environ,
                cwd=child_python.NEUTRAL_FOLDER,
            )
        except CommandStartError as error:
            raise _make_unusable(checker, f"it does not start: {error}", options) from error
        finally:
            notice.cancel()
    if command_result.timed_out:
        longer = Suggestion(f"{SECONDS_VARIABLE}={LONGER * seconds:g}", LONGER_REMARK)
        raise _make_unusable(checker, f"it gave no answer within {seconds:g} s", options, longer)
    lines = [line for line in command_result.stdout.splitlines() if parse_verdict(line)]
    verdict_lines = question.neutralize("\n".join(lines))
    if not lines:
        output_lines = (command_result.stderr or command_result.stdout).strip().splitlines()
        last_line = f": {redact(output_lines[-1].strip(), max_length=300)}" if output_lines else ""
        reason = f"it ended without a verdict (exit code {command_result.exit_code}){last_line}"
        raise _make_unusable(checker, reason, options)
    if command_result.exit_code:
        raise Rejected(_list_problems(question, checker, verdict_lines))
    return verdict_lines


def get_time_limit() -> float:
    """Return how many seconds a checker may take."""
    with suppress(KeyError, ValueError):
        return max(0.1, float(os.environ[SECONDS_VARIABLE]))
    return SECONDS


def _make_problems(question: _Question, checker: Checker, verdict: Verdict) -> Iterator[Problem]:
    text = redact(question.complete(verdict.text))
    if verdict.result == "unchecked":
        yield make_problem("options-unchecked.here", workload=question.prepared.job.workload, why=text)
    elif verdict.result in ("refused", "doubtful"):
        option_text = " ".join(verdict.options)
        message = "options-refused"
        if verdict.result == "doubtful":
            message = "options-doubtful"
        program = question.prepared.workload.program if question.prepared.workload else "the trainer"
        subject = redact(option_text) or "the options of this job"
        yield make_problem(
            message,
            *verdict.ways,
            where=DASHES if option_text else "",
            given=option_text,
            program=program,
            subject=subject,
            why=text.rstrip("."),
            checker=checker.name,
        )


def _make_missing_note(
    prepared: PreparedJob, required_environment: PythonEnvironment, options: CheckOptions
) -> Problem:
    """Return the note on what is left to the job's machine because nobody can be asked here."""
    program = prepared.workload.program if prepared.workload else "the trainer"
    build = options.suggest(BUILD, "builds it once, with a PyTorch for the CPU, and keeps it")
    other_ways = (options.suggest("PYTHON", "a Python that has it"), options.suggest(NONE, "hides this note"))
    ways = (build, *other_ways) if can_build(required_environment) else other_ways
    return make_problem("options-unchecked.not-here", *ways, program=program)


def _make_unusable(checker: Checker, reason: str, options: CheckOptions, *ways: Suggestion) -> Rejected:
    others = [*ways, options.suggest("PYTHON", "asks another Python"), options.suggest(NONE, "checks without one")]
    return Rejected([make_problem("checker-unusable.failed", *others, where=FLAG, python=checker.python, why=reason)])
