"""LeRobot's log lines as numbers: for versions whose functions moved, and for the step of a held-out loss."""

import re

NUMBER = r"[+-]?(?:nan|inf(?:inity)?|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"
FIELD = re.compile(rf"(?:^|\s)(?P<name>[A-Za-z_]\w*):(?P<number>{NUMBER})(?P<suffix>[KMBTQ]?)(?=\s|$)", re.IGNORECASE)
HELD_OUT = re.compile(rf"step (?P<step>\d+): eval_loss=(?P<loss>{NUMBER})\b", re.IGNORECASE)
SCALE = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12, "Q": 1e15}
NAMES = {
    "smpl": "train/samples",
    "ep": "train/episodes",
    "epch": "train/epoch",
    "loss": "train/loss",
    "grdn": "train/grad_norm",
    "lr": "train/learning_rate",
    "updt_s": "train/update_time_s",
    "data_s": "train/data_time_s",
}


def window(line: str) -> dict[str, float] | None:
    """The values of a training line by their tracking names; None for any other line."""
    fields = {match["name"]: match for match in FIELD.finditer(line)}
    if not {"step", "loss"} <= fields.keys():
        return None
    return {name: _number(fields[short]) for short, name in NAMES.items() if short in fields}


def held_out(line: str) -> tuple[int, float] | None:
    """The step and the held-out loss of its line; None for any other line."""
    match = HELD_OUT.search(line)
    return (int(match["step"]), float(match["loss"])) if match else None


def _number(match: "re.Match[str]") -> float:
    return float(match["number"]) * SCALE[match["suffix"].upper()]
