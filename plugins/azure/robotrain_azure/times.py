"""How long something may take, as a person writes it: `12h`."""

import re

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}


class QuantityError(ValueError):
    """A text that is no such quantity. instead: what would do, when known."""

    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(why)
        self.instead = instead


def seconds(text: str, longest: int, why: str) -> float:
    """Seconds of `12h`. longest: of them, whole days. why: what to say of more. Raises QuantityError."""
    found = re.fullmatch(r"(\d{1,15})(us|ms|s|m|h|d)", text, re.ASCII)
    if not found:
        raise QuantityError("A time is a whole number and one unit: s, m, h or d.", _meant(text, longest))
    count = int(found[1]) * UNITS[found[2]]
    if count > longest:
        raise QuantityError(why, f"{longest // 86400}d")
    if count < 1:
        raise QuantityError("It is less than a second.")
    return count


def _meant(text: str, longest: int) -> str:
    """`90m` of `1h30m`, `12h` of `12 hours`."""
    parts = re.findall(r"(\d{1,9})\s*([smhd])[a-z]*", text.lower(), re.ASCII)
    if not parts or re.sub(r"\d+\s*[smhd][a-z]*\s*", "", text.lower()):
        return ""
    total = sum(int(count) * int(UNITS[unit]) for count, unit in parts)
    unit = next(unit for unit in ("d", "h", "m", "s") if total % UNITS[unit] == 0)
    return f"{total // int(UNITS[unit])}{unit}" if 0 < total <= longest else ""
