"""Ask Isaac Lab 3 whether it accepts a job's options: `-m …option_check ACTION LIBRARY OPTIONS -- OPTIONS OF THE USER`.

Isaac Lab's own entry point runs until it has the configurations of the task and of the agent: its parsers, the task's
registration, presets and Hydra's overrides. Then the simulator would start, and the check ends. What Isaac Lab takes
without a word, though it has no effect or fails later, is compared with the configurations as they are without it.
"""

import argparse
import contextlib
import importlib
import importlib.util
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.problem import Suggestion, suggest_leaving_out
from robotrain_runtime.contract.verdict import Verdict, emit_verdict

BACKENDS = "isaaclab_rl.entrypoints.backends"
RESOLVE = "resolve_task_config"
"""The function of a backend that makes the configurations, just before the simulator starts."""
OVERRIDE = re.compile(r"(?P<path>(?:env|agent)(?:\.\w+)+)=(?P<value>.*)", re.DOTALL)
"""An override that Isaac Lab applies by itself; those with `+` or `~` are Hydra's, which checks them."""
ROOTS = {"env", "agent"}
REFUSALS = (ValueError, TypeError, AttributeError, LookupError, NotImplementedError)
HYDRA_HINT = re.compile(r"\n?(?:Set the environment variable HYDRA_FULL_ERROR|To append to your config).*", re.DOTALL)
NOISE = re.compile(r"^(?:usage:.*?error: |Error executing job.*\n(?=\w+: ))", re.DOTALL)
"""What stands before the reason: the usage, or where an override failed."""
ISAAC_SIM = "isaacsim"
MISSING = object()
VIDEO, VISUALIZERS = "--video", ("--viz", "--visualizer")
VIDEO_PACKAGE = "moviepy"
VIDEO_WAY = Suggestion("--with FILE.whl", "a wheel of moviepy 1.0.3; `-- --viz newton_gl` records without Isaac Sim")


class Refused(Exception):
    """Isaac Lab refuses the options; the message says why."""


class Configurations(NamedTuple):
    """What Isaac Lab starts the simulator with."""

    env: Any
    agent: Any


class _Resolved(BaseException):
    """The configurations are made; not an Exception, which Isaac Lab might catch."""


def main(arguments: Sequence[str]) -> None:
    """Print the verdicts, and end this process at once: to clean up after PyTorch takes a second."""
    separator = list(arguments).index("--")
    action, library, *owned_options = arguments[:separator]
    with tempfile.TemporaryDirectory() as folder:  # Hydra writes what it did into the working folder
        os.chdir(folder)
        exit_code = _print_verdicts(action, library, owned_options, arguments[separator + 1 :])
        os.chdir("/")
    sys.stdout.flush()
    os._exit(exit_code)


def _print_verdicts(action: str, library: str, owned_options: Sequence[str], options: Sequence[str]) -> int:
    """Print the verdicts; return the exit code: 1 for a failure of this machine, whose verdict is not kept."""
    try:
        for verdict in judge_options(action, library, owned_options, options):
            emit_verdict(verdict)
    except Exception as failed:
        emit_verdict(Verdict(result="unchecked", text=f"Isaac Lab failed with {_format_error(failed)}"))
        return 1
    return 0


def judge_options(action: str, library: str, owned: Sequence[str], options: Sequence[str]) -> Iterator[Verdict]:
    """Yield the verdicts of the Isaac Lab in this environment. Raise what has to do with the environment.

    :param action: `train` or `play`.
    :param owned: the options that robotrain adds.
    :param options: the user's.
    """
    importlib.import_module("isaaclab.cli").load_external_tasks()
    backend = importlib.import_module(f"{BACKENDS}.{action}_{library}")
    words = join_values(options)
    try:
        configurations = resolve(backend, [*owned, *options])
    except Refused as refused:
        named = {*re.findall(r"[\w-]+", str(refused))} - ROOTS
        blamed = tuple(word for word in words if not named.isdisjoint(re.split(r"[.= ]", word.lstrip("+~"))))
        ways = (suggest_leaving_out(*(re.split("[= ]", word)[0] for word in blamed)),) if blamed else ()
        yield Verdict(result="refused", text=str(refused), options=blamed, ways=ways)
        return
    doubts = [*_find_doubts(backend, owned, words)]
    doubts += _find_simulator_doubts(configurations.env, [*owned, *options])
    yield from doubts or [Verdict(result="accepted")]


def resolve(backend: Any, arguments: Sequence[str]) -> Configurations:
    """Return the configurations that a backend makes of arguments. Raise Refused."""
    resolved: list[Configurations] = []
    original_resolve, argv = getattr(backend, RESOLVE), sys.argv

    def stop(*values: Any, **options: Any) -> None:
        resolved.append(Configurations(*original_resolve(*values, **options)))
        raise _Resolved

    output = io.StringIO()
    setattr(backend, RESOLVE, stop)
    try:
        with contextlib.redirect_stderr(output), contextlib.redirect_stdout(io.StringIO()):
            backend.run(list(arguments))
    except _Resolved:
        return resolved[0]
    except SystemExit as ended:
        output_text = NOISE.sub("", HYDRA_HINT.sub("", output.getvalue().strip()))
        raise Refused(" ".join(output_text.split()) or f"it ends with exit code {ended.code}") from ended
    except REFUSALS as error:
        raise Refused(_format_error(error)) from error
    except Exception as error:
        if type(error).__module__.startswith("gymnasium"):  # an unknown task
            raise Refused(_format_error(error)) from error
        raise
    finally:
        setattr(backend, RESOLVE, original_resolve)
        sys.argv = argv
    raise RuntimeError("it made no configuration")


def join_values(words: Sequence[str]) -> list[str]:
    """Return options with the values that follow them, `--video_length 5` as one text."""
    joined_words: list[str] = []
    for word in words:
        is_value = (
            joined_words
            and joined_words[-1].startswith("-")
            and "=" not in joined_words[-1]
            and " " not in joined_words[-1]
        )
        if is_value and not word.startswith("-") and "=" not in word:
            joined_words[-1] += f" {word}"
        else:
            joined_words.append(word)
    return joined_words


def _split(words: Sequence[str]) -> list[str]:
    return [part for word in words for part in (word.split(" ", 1) if word.startswith("-") else [word])]


def _find_doubts(backend: Any, owned_options: Sequence[str], words: Sequence[str]) -> Iterator[Verdict]:
    """Yield what Isaac Lab sets though no configuration has it."""
    overrides = {word: match for word in words if (match := OVERRIDE.fullmatch(word))}
    if not overrides:
        return
    usual_configurations = resolve(
        backend, [*owned_options, *_split([word for word in words if word not in overrides])]
    )
    for word, match in overrides.items():
        section, *path = match["path"].split(".")
        usual_value = getattr(usual_configurations, section)
        for name in path:
            usual_value = _get_child(usual_value, name)
            if usual_value is MISSING:
                text = f"no configuration of this task has {name} at {match['path']}: it would be set without effect"
                way = suggest_leaving_out(match["path"])
                yield Verdict(result="doubtful", text=text, options=(word,), ways=(way,))
                break


def _get_child(node: Any, name: str) -> Any:
    """Return a setting of a group or of a list; MISSING if there is none."""
    if isinstance(node, Mapping):
        return node.get(name, MISSING)
    if isinstance(node, list | tuple):
        return node[int(name)] if name.isdigit() and int(name) < len(node) else MISSING
    return getattr(node, name, MISSING)


def _find_simulator_doubts(env: Any, arguments: Sequence[str]) -> Iterator[Verdict]:
    """Yield what the task would start and is not here, as Isaac Sim; Isaac Lab's own rules may refuse it before."""
    if VIDEO in arguments:
        if importlib.util.find_spec(VIDEO_PACKAGE) is None:
            doubt_text = f"a video needs the package {VIDEO_PACKAGE}, which this environment has not"
            yield Verdict(result="doubtful", text=doubt_text, ways=(VIDEO_WAY,))
        if not any(argument.partition("=")[0] in VISUALIZERS for argument in arguments):
            configure = importlib.import_module("isaaclab_rl.entrypoints.common").pre_launch_video_config
            with contextlib.redirect_stdout(io.StringIO()):
                configure(env, argparse.Namespace(video=True))
    try:
        _, sources = importlib.import_module("isaaclab.app").validate_launch(env, {"livestream": 0})
    except ValueError as error:
        yield Verdict(result="refused", text=_format_error(error))
        return
    if sources and importlib.util.find_spec(ISAAC_SIM) is None:
        doubt_text = f"the task starts Isaac Sim, which this environment has not: {', '.join(sources)}"
        yield Verdict(result="doubtful", text=doubt_text)


def _format_error(error: BaseException) -> str:
    error_text = " ".join(str(error).split())
    return error_text if isinstance(error, REFUSALS) and error_text else f"{type(error).__name__}: {error_text}"


if __name__ == "__main__":
    main(sys.argv[1:])
