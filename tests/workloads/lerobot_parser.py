"""Program for the training environment: print LeRobot's options, and its parser's answer for each given list."""

import contextlib
import io
import json
import runpy
import sys
from pathlib import Path

import draccus
from lerobot.configs.train import TrainPipelineConfig

ROOT = Path(__file__).parents[2]


def verdict(arguments):
    with contextlib.redirect_stderr(io.StringIO()) as result:
        try:
            draccus.parse(TrainPipelineConfig, args=["--dataset.repo_id=x", *arguments])
        except (SystemExit, Exception) as error:
            return f"{type(error).__name__} {error} {result.getvalue()[-300:]}"
    return ""


request = json.load(sys.stdin)
sys.path.insert(0, str(ROOT / ".ci"))  # what the exporter imports lies beside it
runpy.run_path(str(ROOT / ".ci/export_lerobot.py"), run_name="export")["main"](Path(request["folder"]))
json.dump([verdict(arguments) for arguments in request["lists"]], sys.stdout)
