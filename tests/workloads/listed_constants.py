"""Writes the constants of the packages that read variables while they are imported: `listed_constants FILE`."""

import importlib
import json
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

PACKAGES = (
    "accelerate",
    "datasets",
    "diffusers",
    "fsspec",
    "huggingface_hub",
    "lerobot",
    "peft",
    "torchvision",
    "transformers",
)


def list_constants() -> dict[str, Any]:
    """Return constants, values that functions take if none is given, and attributes of objects of modules, as text."""
    constants = {}
    for name, module in [*sys.modules.items()]:
        if name.partition(".")[0] not in PACKAGES and name != "torch.hub":
            continue
        for place, value in [*vars(module).items()]:
            values = [value]
            if isinstance(value, FunctionType):
                values = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
            elif not isinstance(value, type | ModuleType) and type(getattr(value, "__dict__", None)) is dict:
                values = [*vars(value).values()]
            if texts := [repr(constant) for constant in values if isinstance(constant, str | bool | Path)]:
                constants[f"{name}.{place}"] = texts
    return constants


if __name__ == "__main__":
    importlib.import_module("lerobot.scripts.lerobot_train")
    Path(sys.argv[1]).write_text(json.dumps(list_constants()))
