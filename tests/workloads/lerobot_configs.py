"""Program for the training environment: print the configuration that LeRobot trains with, for each list of options."""

import contextlib
import io
import json
import logging
import sys
from typing import Any

import draccus
import lerobot.policies
import lerobot.rewards  # noqa: F401
from lerobot.configs import parser
from lerobot.configs.train import TrainPipelineConfig

logging.disable(logging.CRITICAL)
configs: list[Any] = []


def add(config: TrainPipelineConfig) -> None:
    """Add a configuration, as the trainer completes it."""
    config.validate()
    configs.append(draccus.encode(config))


add.__annotations__["config"] = TrainPipelineConfig
for arguments in json.load(sys.stdin):
    sys.argv = ["lerobot-train", *arguments]
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(errors):
            parser.wrap()(add)()
    except (SystemExit, Exception) as error:
        configs.append(f"{type(error).__name__}: {error} {errors.getvalue()[-200:]}")
print(json.dumps(configs, default=str))
