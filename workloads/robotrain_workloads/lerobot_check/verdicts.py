"""What LeRobot says about options: refusals, the options that are to blame, and what it cannot say without the Hub."""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any

from robotrain_runtime.contract.verdict import Verdict, emit_verdict

from robotrain_workloads.lerobot.options import ConfigurationRefused, find_rejected_options, split_options
from robotrain_workloads.lerobot.warm_up import quick_imports

POLICIES, REWARD_MODELS = "lerobot.policies", "lerobot.rewards"
"""Packages that declare all types of policies, and of reward models."""
HUB_ERRORS = ("LocalEntryNotFoundError", "OfflineModeIsEnabled", "HfHubHTTPError", "EntryNotFoundError")
"""Errors of the library of the Hub."""
PARSER = "draccus"
REFUSALS = (ValueError, TypeError, NotImplementedError, ArithmeticError)
MACHINE_ERRORS = (OSError, MemoryError)
MOST_TRIED = 4
"""Options that are left out in turn, to find the one that LeRobot refuses: it reads its options in half a second."""
AskLerobot = Callable[[Sequence[str]], object]
"""Lets LeRobot read options; raises what it raises."""


class LerobotFailed(Exception):
    """LeRobot failed in a way that has to do with this machine, such as a full disk; the message says how."""


def print_verdict(judge: Callable[[], Verdict]) -> None:
    """Print a verdict, and end this process at once: to clean up after PyTorch takes a second.

    After LerobotFailed the exit code is 1: the verdict is not kept.
    """
    exit_code = 0
    try:
        emit_verdict(judge())
    except LerobotFailed as failed:
        emit_verdict(Verdict(result="unchecked", text=str(failed)))
        exit_code = 1
    sys.stdout.flush()
    os._exit(exit_code)


def judge_options(ask: AskLerobot, kind: str, owned: Sequence[str], options: Sequence[str]) -> Verdict:
    """Return the verdict of the LeRobot in this environment. Raise LerobotFailed.

    :param kind: the type of the policy; empty for a reward model.
    :param owned: the options that robotrain adds.
    :param options: the user's.
    """
    try:
        with quick_imports():
            declare_types(kind)
            reason = _find_refusal(ask, [*owned, *options])
        if not reason:
            return Verdict(result="accepted")
        words = join_values(options)
        culprits = find_culprits(lambda words: _find_refusal(ask, [*owned, *words]), words, reason)
    except Exception as error:
        if _is_of_hub(error):
            return Verdict(result="unchecked", text="for its answer LeRobot reads files of the Hub")
        failure_text = f"LeRobot failed with {type(error).__name__}: {_format_line(error)}"
        if isinstance(error, MACHINE_ERRORS) or _is_of_import(error):
            raise LerobotFailed(failure_text) from error
        return Verdict(result="unchecked", text=failure_text)
    return Verdict(result="refused", text=reason, options=culprits or tuple(find_rejected_options(words, reason)))


def _find_refusal(ask: AskLerobot, options: Sequence[str]) -> str:
    """Return why LeRobot refuses options; empty if it accepts them. Raise what is no refusal."""
    try:
        ask(options)
    except SystemExit as refused:  # of the parser and of `validate`
        cause = refused.__cause__
        if not isinstance(cause, ConfigurationRefused) or _is_of_hub(refused) or _is_of_import(refused):
            raise RuntimeError(str(refused)) from refused
        return cause.reason
    except Exception as error:
        if _is_of_hub(error) or _is_of_import(error) or not (isinstance(error, REFUSALS) or _is_of_parser(error)):
            raise
        return _format_line(error)
    return ""


def declare_types(kind: str) -> None:
    """Import what declares the type of a policy: all types take two seconds."""
    if kind and POLICIES not in sys.modules:
        sys.modules[POLICIES] = _make_package(POLICIES)
        with suppress(ModuleNotFoundError):
            importlib.import_module(f"{POLICIES}.{kind}.configuration_{kind}")
            return
    _ = importlib.import_module(POLICIES).PreTrainedPolicy  # executes all of the package
    importlib.import_module(REWARD_MODELS)


def _make_package(name: str) -> ModuleType:
    """Return a package that is executed when it is first asked for a name: its submodules can be imported before."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    package, loader = importlib.util.module_from_spec(spec), spec.loader

    def execute(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        del vars(package)["__getattr__"]
        loader.exec_module(package)
        return getattr(package, name)

    vars(package)["__getattr__"] = execute
    return package


def join_values(options: Sequence[str]) -> list[str]:
    """Return options with their values as one word each."""
    return ["--" + "=".join(filter(None, pair)) for pair in split_options(options) if pair[0]]


def find_culprits(find_reason: Callable[[Sequence[str]], str], words: Sequence[str], reason: str) -> tuple[str, ...]:
    """Return the option of the user without which there is no such reason; empty if none is alone to blame.

    :param find_reason: returns why LeRobot refuses options, or fails with them; empty if it does not.
    :param words: the options of the user, as `join_values` returns them.
    :param reason: that of all of them. If it names some, the others are not tried.
    """
    for word in (find_rejected_options(words, reason) or list(words))[:MOST_TRIED]:
        with suppress(Exception, SystemExit):
            if not find_reason([other for other in words if other != word]):
                return (word,)
    return ()


def _format_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _is_of_parser(error: BaseException) -> bool:
    """Return whether LeRobot's parser raised an error: it has plain exceptions for values that it cannot read."""
    module = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)][-1]
    return str(module).partition(".")[0] == PARSER


def _is_of_hub(error: BaseException) -> bool:
    """Return whether an error goes back to one of the library of the Hub."""
    return any(type(cause).__name__ in HUB_ERRORS for cause in _list_causes(error))


def _is_of_import(error: BaseException) -> bool:
    """Return whether a module refused to be imported: its package does not fit others, and the options are not read."""
    refusals = (cause for cause in _list_causes(error) if isinstance(cause, REFUSALS))
    frames = (frame for refusal in refusals for frame, _ in traceback.walk_tb(refusal.__traceback__))
    codes = (frame.f_code for frame in frames if frame.f_globals.get("__name__") != "__main__")
    return any(code.co_name == "<module>" and not code.co_filename.startswith("<") for code in codes)


def _list_causes(error: BaseException) -> list[BaseException]:
    """Return an error and those that it goes back to."""
    causes: list[BaseException] = []
    waiting_errors: list[BaseException | None] = [error]
    while waiting_errors:
        if (cause := waiting_errors.pop()) is not None and cause not in causes:
            causes.append(cause)
            waiting_errors += (cause.__cause__, cause.__context__)
    return causes
