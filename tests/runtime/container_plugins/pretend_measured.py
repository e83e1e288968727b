"""The workload of `pretend_placed`, whose runs save no checkpoints: it measures something, in an environment that its
parameters may choose.
"""

import dataclasses
from pathlib import Path

from pretend_placed import *  # noqa: F403
from pretend_placed import ENVIRONMENT
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import JobDocument

del checkpoints  # noqa: F821


def environment(document: JobDocument) -> PythonEnvironment:
    lock = str(document.parameters.get("lock", ENVIRONMENT.lock.name))
    return dataclasses.replace(ENVIRONMENT, lock=Path(__file__).with_name(lock))
