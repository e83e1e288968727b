"""LeRobot's configuration of a training: what it refuses is told in a sentence, as preflight tells it.

Types of options are checked before submission; rules between several options are LeRobot's own.
"""

import functools
import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from robotrain_workloads.lerobot.options import (
    ConfigurationRefused,
    end_as_preflight,
    explain_parser_errors,
    explain_refusal,
)

SUBJECT = "the training's configuration"
ORIGINAL = "robotrain_original"
"""The attribute of a wrapper that holds LeRobot's own function."""


def explain_refusals(options: Sequence[str]) -> None:
    """Let LeRobot's parser and its own checks end with a sentence; `options` are those on its command line."""
    with suppress(ImportError):  # another LeRobot reports errors by itself
        _wrap(importlib.import_module("draccus"), "parse", options)
        _wrap(importlib.import_module("lerobot.configs.train").TrainPipelineConfig, "validate", options)


def check_configuration(options: Sequence[str]) -> None:
    """Build the configuration from the command line. Raise SystemExit if LeRobot refuses it."""
    explain_refusals(options)
    importlib.import_module("lerobot.utils.import_utils").register_third_party_plugins()
    _validate.__annotations__["config"] = importlib.import_module("lerobot.configs.train").TrainPipelineConfig
    importlib.import_module("lerobot.configs.parser").wrap()(_validate)()


def _validate(config: Any) -> None:
    config.validate()


def _wrap(place: Any, name: str, options: Sequence[str]) -> None:
    original: Callable[..., Any] = getattr(place, name)
    original = vars(original).get(ORIGINAL, original)

    @functools.wraps(original)
    def replacement(*arguments: Any, **named: Any) -> Any:
        try:
            with explain_parser_errors(options, SUBJECT):
                return original(*arguments, **named)
        except ConfigurationRefused as refused:
            end_as_preflight(refused)
        except (ValueError, TypeError, NotImplementedError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            end_as_preflight(ConfigurationRefused(explain_refusal(options, SUBJECT, why)))

    vars(replacement)[ORIGINAL] = original
    setattr(place, name, replacement)
