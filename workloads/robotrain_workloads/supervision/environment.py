"""The environment that runs beside a program, whose own packages it does not touch: tracking, TensorBoard's reader."""

from pathlib import Path

from robotrain_runtime.contract.container_plugin import PythonEnvironment

ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).parent / "locks" / "supervision.txt",
    python="3.10-3.12",
    gib=1.0,
    platform="Linux-x86_64",
    required_packages={"tensorboard": "2", "mlflow-skinny": "3"},
)
