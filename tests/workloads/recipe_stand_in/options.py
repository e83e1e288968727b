"""The options of a recorded program, read as its own parser reads them."""

import sys
from pathlib import Path
from typing import Any

import tomllib

TYPES = {"int": int, "float": float, "text": str}


def read_options(program: str, arguments: list[str]) -> dict[str, Any]:
    """Return the values by name. Raise SystemExit(2) for what the program's parser refuses."""
    table = tomllib.loads(Path(__file__).with_name("programs.toml").read_text())[program]
    options: dict[str, Any] = {}
    remaining = list(arguments)
    while remaining:
        word = remaining.pop(0)
        name, equals, value = word.removeprefix("--").replace("-", "_", 0).partition("=")
        name = name.replace("-", "_")
        kind = table["options"].get(name.removeprefix("no_") if name not in table["options"] else name)
        if not word.startswith("--") or kind is None:
            refuse(f"unrecognized option {word}")
        elif kind == "switch":
            options[name.removeprefix("no_")] = not name.startswith("no_")
        else:
            text = value if equals else remaining.pop(0)
            if isinstance(kind, list) and text not in kind:
                refuse(f"{word}: invalid choice {text}")
            options[name] = text if isinstance(kind, list) else TYPES[kind](text)
    if missing := [name for name in table["required"] if name not in options]:
        refuse(f"required: {', '.join(missing)}")
    return options


def refuse(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)
