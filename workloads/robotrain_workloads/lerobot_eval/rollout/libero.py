"""LIBERO: a file answers the question of its first import, and its scenes are those that the job brings."""

import importlib
import importlib.util
import json
import logging
import os
from pathlib import Path
from typing import Any

from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest

PACKAGE = "libero.libero"


def prepare(request: EvaluationRequest) -> None:
    """Import LIBERO with paths of this run alone. It would ask for them, and keep the answer in the user's home.

    Raise ModuleNotFoundError.
    """
    spec = importlib.util.find_spec(PACKAGE)
    config = request.work / "libero"
    if spec is None or not spec.origin:
        raise ModuleNotFoundError(f"No module named {PACKAGE!r}", name=PACKAGE.partition(".")[0])
    root = Path(spec.origin).parent
    paths = {"benchmark_root": root, "bddl_files": root / "bddl_files", "init_states": root / "init_files"}
    paths |= {"assets": request.scenes or root / "assets", "datasets": config}
    config.mkdir(parents=True, exist_ok=True)
    (config / "config.yaml").write_text(json.dumps(paths, default=str), encoding="utf-8")  # YAML too
    os.environ["LIBERO_CONFIG_PATH"] = str(config)
    package: Any = importlib.import_module(PACKAGE)
    package.get_assets_path = lambda: str(paths["assets"])  # its own downloads them, at no commit
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":  # robosuite reads a number there
        os.environ.setdefault("MUJOCO_EGL_DEVICE_ID", "0")
    log: Any = logging
    original_handler = log.FileHandler
    log.FileHandler = lambda path: log.NullHandler()  # robosuite's is /tmp/robosuite.log, of the first user who came
    log.disable(log.WARNING)
    try:
        importlib.import_module("robosuite")
    finally:
        log.FileHandler = original_handler
        log.disable(log.NOTSET)
