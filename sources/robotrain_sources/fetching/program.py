"""The half's side of a program that fetches: it is run in an environment, and one line of it is its answer."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType

import robotrain_runtime
from robotrain_runtime.half import Place

import robotrain_sources
from robotrain_sources.fetching.answer import MARK, SAID

FOREIGN = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH")
PATIENCE = 5.0


def run(
    place: Place,
    module: str,
    *arguments: str,
    environ: Mapping[str, str] = MappingProxyType({}),
    modules: Iterable[str] = (),
) -> Path:
    """The folder that the program answers with; its other lines are the run's. Raises OSError with a sentence.

    environ: added to the environment of this process, for what must not be seen in a list of processes. modules: as in
    `surroundings`.
    """
    if place.python is None:
        raise OSError(f"there is no environment to run {module} in")
    with subprocess.Popen(
        [str(place.python), "-m", module, *arguments],
        env={**surroundings(modules), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            (answer, last), code = _pass_on(process.stdout, place.say), process.wait()
        except BaseException:  # the run was stopped, and with it what it waits for
            _end(process)
            raise
    if code == 0 and answer:
        return Path(answer)
    raise OSError(answer if code == SAID else f"{module} ended with {code}: {last or 'it said nothing'}")


def _pass_on(lines: Iterable[str], say: Callable[[str], None]) -> tuple[str, str]:
    """The answer, and the last of the other lines, which are all passed on."""
    answer = last = ""
    for line in map(str.rstrip, lines):
        if line.startswith(MARK):
            answer = line.removeprefix(MARK)
        elif line:
            last = line
            say(line)
    return answer, last


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def surroundings(modules: Iterable[str] = ()) -> dict[str, str]:
    """This process's environment, with the payload to import from, and nothing from the folder it happens to run in.

    modules: imported ones, whose distributions the program imports from too.
    """
    names = (robotrain_sources.__name__, robotrain_runtime.__name__, *modules)
    roots = dict.fromkeys(str(_root(sys.modules[name])) for name in names)
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {**kept, "PYTHONPATH": os.pathsep.join(roots), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


def _root(module: ModuleType) -> Path:
    file = Path(str(module.__file__)).absolute()
    return file.parents[module.__name__.count(".") + (file.name == "__init__.py")]
