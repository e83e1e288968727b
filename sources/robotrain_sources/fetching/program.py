"""Fetch programs: started in an environment, they answer with one marked line of output."""

import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import robotrain_runtime
from robotrain_runtime.contract import child_python
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.plugin_loader import get_import_folder
from robotrain_runtime.process.stop import stop_process

import robotrain_sources
from robotrain_sources.fetching.errors import FetchError, format_error, format_system_error

STOP_SECONDS = 5.0


def run_program(
    context: ContainerContext,
    module: str,
    *arguments: str,
    environ: Mapping[str, str] = MappingProxyType({}),
    modules: Iterable[str] = (),
) -> Path:
    """Run a fetch program and return the folder it answers with; log its other lines. Raise OSError with a sentence.

    `environ` is added to the process environment: values that must not appear in a process list. `modules` as in
    `make_process_env`.
    """
    if context.python is None:
        raise OSError(f"there is no environment to run {module} in")
    with subprocess.Popen(
        [str(context.python), "-m", module, *arguments],
        cwd=child_python.NEUTRAL_FOLDER,
        env={**make_process_env(modules), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            (answer, last_line), code = _relay_output(process.stdout, context.log_line), process.wait()
        except BaseException:  # the run was stopped
            stop_process(process, STOP_SECONDS)
            raise
    if code == 0 and answer:
        return Path(answer)
    raise OSError(answer if code == SENTENCE_EXIT_CODE else f"{module} ended with {code}: {last_line or 'no output'}")


def _relay_output(lines: Iterable[str], log_line: Callable[[str], None]) -> tuple[str, str]:
    """Log all lines but the answer; return the answer and the last other line."""
    answer = last_line = ""
    for line in map(str.rstrip, lines):
        if line.startswith(ANSWER_PREFIX):
            answer = line.removeprefix(ANSWER_PREFIX)
        elif line:
            last_line = line
            log_line(line)
    return answer, last_line


def make_process_env(modules: Iterable[str] = ()) -> dict[str, str]:
    """Return this process's environment with the payload as its only import path.

    `modules` are imported modules whose packages the program has to find as well.
    """
    module_names = (robotrain_sources.__name__, robotrain_runtime.__name__, *modules)
    return child_python.make_import_environ(dict.fromkeys(map(get_import_folder, module_names)))


ANSWER_PREFIX = "answer: "
SENTENCE_EXIT_CODE = 3
"""Exit code of a program whose answer is an error message for the user."""


def run_and_answer(fetch: Callable[[], Path]) -> None:
    """Answer with the folder that `fetch` returns, or with its error. Raise SystemExit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent process reports why it ended
    try:
        print(f"{ANSWER_PREFIX}{fetch()}", flush=True)
    except FetchError as error:
        _answer_and_exit(str(error))
    except OSError as error:
        _answer_and_exit(format_system_error(error))
    except Exception as error:
        print("".join(traceback.format_tb(error.__traceback__)), end="")  # where; the answer says what
        _answer_and_exit(format_error(error))


def _answer_and_exit(sentence: str) -> None:
    print(ANSWER_PREFIX + sentence.replace("\n", " "), flush=True)
    sys.exit(SENTENCE_EXIT_CODE)
