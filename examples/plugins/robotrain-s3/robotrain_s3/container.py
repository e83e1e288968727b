"""`s3` in the container: the environment that it is fetched in, and the module that fetches it."""

from pathlib import Path

from robotrain_runtime.plugin import PythonEnvironment

CARRIER = "robotrain_s3.batch_fetch"
ENVIRONMENT = PythonEnvironment(lock=Path(__file__).parent / "locks" / "s3.txt", python="3.10-3.14", gib=0.1)
