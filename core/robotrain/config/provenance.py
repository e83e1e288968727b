"""Raw values with their origins, and the files that they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple


class Origin(NamedTuple):
    """Where a value comes from."""

    layer: str
    """flag, job file, config file, environment, .env.local, .env, robotrain.toml, terraform, looked up, platform, run
    or default.
    """
    where: str = ""
    """`--steps`, `job.yaml:3`, `STEPS`, `.env:4`, `robotrain.toml [parameters]`, `mars: why it gives this value`."""

    def __str__(self) -> str:
        """Return layer and place; only the place if it begins with the layer."""
        if not self.where:
            return self.layer
        in_place = self.where.rpartition("/")[2].startswith(self.layer)
        return self.where if in_place else f"{self.layer} {self.where}"


class Value(NamedTuple):
    """A raw value (a text or a declared default), and the values it overrode, the strongest first."""

    value: Any
    origin: Origin
    overrode: tuple[Value, ...] = ()


MAX_LETTERS = 1 << 18
"""The largest job file, robotrain.toml or .env file, and the largest text that its references expand to."""
JOB_FILE_LAYER, CONFIG_LAYER = "job file", "config file"
PROJECT_LAYER = "robotrain.toml"
FOLDER_LAYERS = (JOB_FILE_LAYER, CONFIG_LAYER, ".env.local", ".env", PROJECT_LAYER)
"""The layers of files that may come with a cloned repository: they may not name a program to run."""
DEFAULT_ORIGIN = Origin("default")
PLATFORM_LAYER = "platform"
DEFAULT_LAYERS = ("default", PLATFORM_LAYER)
"""The layers of values that the user did not give."""


def read_limited(path: Path) -> str:
    """Return the text of a file that a person wrote. Raise OSError, or ValueError with a sentence."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MAX_LETTERS + 1)
    except UnicodeDecodeError:
        raise ValueError("It is not UTF-8 text.") from None
    if len(text) > MAX_LETTERS:
        raise ValueError(f"It is larger than {MAX_LETTERS >> 10} KiB.")
    return text


def make_variable_name(name: str) -> str:
    """Return the environment variable of a flag or field: `ROBOTRAIN_BLOB_URL` for `--blob-url`."""
    return "ROBOTRAIN_" + name.strip("-").replace("-", "_").upper()
