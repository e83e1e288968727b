"""Names an environment that may be another tomorrow."""

from pathlib import Path

from robotrain_runtime.plugin import PythonEnvironment

from hello_container.whole import inspect, tracked, work

__all__ = ["ENVIRONMENT", "inspect", "tracked", "work"]

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("loose.txt"), python="3.10-3.14", gib=0.1)
