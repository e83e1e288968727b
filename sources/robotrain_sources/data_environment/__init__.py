"""The Python environment for fetching data and policies: small, and built in seconds."""

from pathlib import Path

from robotrain_runtime.contract.container_plugin import PythonEnvironment

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).parent / "locks" / "data.txt", python="3.10-3.14", gib=0.2)
