"""Isaac Lab 3.0: packages whose entry points train and play, with Newton or Isaac Sim as the simulator."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.machine import hardware

ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).parents[1] / "locks" / "isaaclab.txt",
    python="3.12",
    gib=8.0,
    platform="Linux-x86_64",
    required_packages={"isaaclab": "3.0"},
)
"""Built where neither the image nor the user brings Isaac Lab 3.0."""
DEVICE = "--device"
AGENT_DEVICES: Mapping[str, str] = {"rsl_rl": "agent.device", "sb3": "agent.device"}
"""The setting of each library's agent that does not follow `--device`."""


def make_script_words(folder: Path | None, action: str, backend: str) -> tuple[str, ...]:
    """Return the words that name an entry point: `action` is `train` or `play`."""
    return (action, "--rl_library", backend)


def make_machine_arguments(backend: str, options: Sequence[str], *, headless: bool) -> tuple[str, ...]:
    """Return the arguments that say where an entry point runs, beside the user's `options`.

    Without a GPU both the simulation and the agent are told to use the CPU; its default is a GPU.
    """
    arguments: tuple[str, ...] = ()
    device = find_device(options)
    if not device and not hardware.count_visible_gpus():
        device, arguments = "cpu", (f"{DEVICE}=cpu",)
    key = AGENT_DEVICES.get(backend, "")
    is_agent_told = any(option.lstrip("+").startswith(f"{key}=") for option in options)
    return (*arguments, *((f"{key}={device}",) if key and device and not is_agent_told else ()))


def find_device(options: Sequence[str]) -> str:
    """Return the device that the user chose; empty for none."""
    for index, option in enumerate(options):
        name, equals, device = option.partition("=")
        if name == DEVICE:
            return device if equals else "".join(options[index + 1 : index + 2])
    return ""
