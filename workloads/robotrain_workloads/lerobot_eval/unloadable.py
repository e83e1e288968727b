"""Why a policy cannot be loaded, in a sentence: LeRobot says it in many ways, and sometimes not at all."""

import importlib
import re
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_eval import extras
from robotrain_workloads.lerobot_train.policy import WEIGHTS
from robotrain_workloads.lerobot_train.versions import LEROBOT

NAMED = 3
ADVICE = re.compile(r"'([^']+)' is required but not installed\b")


def sentence(error: BaseException, folder: Path | None) -> str:
    """What is wrong; empty for what nobody foresaw. folder: of the policy; None for one that is made here."""
    text = _line(error)
    if isinstance(error, SystemExit):
        told = isinstance(error.code, str)
        return "" if told else f"LeRobot {LEROBOT} does not know one of the --policy. options: the line above names it"
    if isinstance(error, ImportError):
        return _lacking(text)
    if unlike := next((line.strip() for line in str(error).splitlines() if "size mismatch for" in line), ""):
        return f"the weights in {folder} do not fit the network that its config.json describes: {unlike}"
    if type(error).__name__ in ("DecodingError", "ParsingError"):
        return f"LeRobot {LEROBOT} cannot read the policy's configuration: {text}"
    return text if isinstance(error, (OSError, ValueError, KeyError)) else ""


def _lacking(text: str) -> str:
    """LeRobot names the package, and advises what nobody can do in a locked environment."""
    if found := ADVICE.match(text):
        return extras.sentence("the policy", found[1])
    return f"the policy needs more than the run's environment holds: {text}"


def incomplete(policy: Any, folder: Path) -> str:
    """A sentence when part of the network is not among the weights; LeRobot leaves that part random, and goes on."""
    base: Any = importlib.import_module("lerobot.policies.pretrained").PreTrainedPolicy
    own = type(policy)
    if own.from_pretrained.__func__ is not base.from_pretrained.__func__:
        return ""  # it has names of its own for what it loads
    if own._load_as_safetensor.__func__ is not base._load_as_safetensor.__func__:
        return ""
    with importlib.import_module("safetensors").safe_open(folder / WEIGHTS, framework="pt") as file:
        there = set(file.keys())
    state = policy.state_dict()
    shared = {state[name].data_ptr() for name in there & state.keys()}
    missing = [name for name in state if name not in there and state[name].data_ptr() not in shared]
    if not missing:
        return ""
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    return f"{folder / WEIGHTS} lacks parts of the network: {', '.join(missing[:NAMED])}{more}"


def _line(error: BaseException) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split()) or type(error).__name__
