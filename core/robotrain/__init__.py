"""robotrain: describe a robot-learning job once and run it on any platform whose plugin supports it.

The command line is `robotrain`; the same from Python::

    run = robotrain.submit("job.yaml", platform="…", training_steps=2000)
    run.wait()
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # importing `typing` would take a tenth of the time of `--version`; checkers know the name
if TYPE_CHECKING:
    from typing import Any

    from robotrain.api import Run, RunCancelled, RunEnded, RunFailed, RunLost, explain, render, runs, submit
    from robotrain.errors import Problem, Rejected
    from robotrain.model.plan import Plan
    from robotrain.model.run import Output, Status
    from robotrain.pipeline_api import PipelineRun, pipeline

__all__ = [
    "Output",
    "PipelineRun",
    "Plan",
    "Problem",
    "Rejected",
    "Run",
    "RunCancelled",
    "RunEnded",
    "RunFailed",
    "RunLost",
    "Status",
    "__version__",
    "explain",
    "pipeline",
    "render",
    "runs",
    "submit",
]

_MODULES = {
    "Output": "model.run",
    "Plan": "model.plan",
    "Problem": "errors",
    "Rejected": "errors",
    "Status": "model.run",
    **dict.fromkeys(("Run", "RunCancelled", "RunEnded", "RunFailed", "RunLost"), "api"),
    **dict.fromkeys(("PipelineRun", "pipeline"), "pipeline_api"),
    **dict.fromkeys(("explain", "render", "runs", "submit"), "api"),
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: the command line needs none of them."""
    if name not in _MODULES:
        raise AttributeError(f"module 'robotrain' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"robotrain.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
