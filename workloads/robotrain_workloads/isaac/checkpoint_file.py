"""Files of checkpoints as rsl_rl and skrl name them, and their SHA-256."""

import re
from pathlib import Path

from robotrain_runtime.contract import checkpoint

NUMBERED = {"rsl_rl": r"model_(\d+)\.pt", "skrl": r"agent_(\d+)\.pt"}
"""Names of checkpoints: with iterations in those of rsl_rl, timesteps in those of skrl."""
BEST = "best_agent.pt"


def find_checkpoint_file(path: Path, backend: str = "") -> Path:
    """Return the file that a source holds: the one of the highest number, of any backend or of one. Raise OSError."""
    if path.is_file():
        return path
    for folder in (path, path / "checkpoints"):
        files = [file for file in sorted(folder.glob("*.pt")) if file.is_file()]
        numbered = [(number, file) for file in files if (number := parse_number(file, backend)) is not None]
        if numbered:
            return max(numbered)[1]
        if best := next((file for file in files if file.name == BEST), None):
            return best
        if len(files) == 1:
            return files[0]
        if not files and folder == path and len(others := [one for one in path.iterdir() if one.is_file()]) == 1:
            return others[0]
        if files:
            names = ", ".join(file.name for file in files[:4])
            raise FileNotFoundError(f"{folder} has several files that may be the checkpoint: {names}; name one of them")
    raise FileNotFoundError(f"{path} has no checkpoint of Isaac Lab: a file such as model_100.pt or agent_2400.pt")


def find_digest_problem(file: Path, expected: object) -> str:
    """Return why a checkpoint's file is not the one that was meant; empty if it is, or if that is not said."""
    if not expected or (actual := checkpoint.hash_file(file)) == str(expected).lower():
        return ""
    return f"{file} has the SHA-256 {actual}, not {str(expected).lower()}"


def parse_number(file: Path, backend: str = "") -> int | None:
    """Return the number in the name of a checkpoint; None if it has none."""
    match = re.fullmatch(NUMBERED[backend] if backend else "|".join(NUMBERED.values()), file.name)
    return int(match[match.lastindex or 0]) if match else None
