"""Helpers of platform rules: problems, durations, image references, values that look like secrets."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.redaction import redact

Suggestions = tuple[Suggestion, ...]


def make_suggestions(*texts: str) -> Suggestions:
    """Things to type, best first; empty ones are left out."""
    return tuple(Suggestion(text) for text in texts if text)


def make_invalid_value_problem(
    code: str, flag: str, given: str, expected: str, why: str, suggestions: Suggestions = ()
) -> Problem:
    """A value that is no such thing."""
    return Problem(
        code=code,
        stage=Stage.PARSE,
        title=f"{flag} takes {expected}, and this is none",
        where=flag,
        given=redact(given),
        why=why,
        suggestions=suggestions,
    )


def make_missing_value_problem(
    code: str, title: str, where: str, why: str, suggestions: Suggestions, given: str = ""
) -> Problem:
    """Something that nobody said, and that cannot be guessed."""
    return Problem(
        code=code, stage=Stage.RESOLVE, title=title, where=where, given=redact(given), why=why, suggestions=suggestions
    )


def make_unsupported_problem(
    code: str, title: str, where: str, why: str, suggestions: Suggestions, given: str = ""
) -> Problem:
    """Something that the platform, or the version of it that is there, does not do."""
    return Problem(
        code=code, stage=Stage.CHECK, title=title, where=where, given=redact(given), why=why, suggestions=suggestions
    )


def make_warning(
    code: str, title: str, where: str, why: str, suggestions: Suggestions = (), note: bool = False
) -> Problem:
    """Something that goes on all the same. note: it is only good to know."""
    return Problem(
        code=code,
        stage=Stage.CHECK,
        title=title,
        where=where,
        why=why,
        suggestions=suggestions,
        severity="note" if note else "warning",
    )


MAX_VARIABLE_BYTES = 131_072
"""Bytes that Linux lets one variable have, with its name and the byte at its end (MAX_ARG_STRLEN)."""
VARIABLE_FLAGS: Mapping[str, str] = {
    "BLOB_URLS": "--blob-url",
    "DATASET_ASSETS": "--dataset-asset",
    "INIT_FROM_POLICY_MODEL_SOURCE": "--init-from-policy-model",
}


def check_variable_sizes(code: str, variables: Mapping[str, str], suggestions: Mapping[str, str]) -> Iterator[Problem]:
    """One with which no process of the container could be started. instead: by name, what says less there."""
    for name, value in variables.items():
        size = len(f"{name}={value}\0".encode("utf-8", "surrogatepass"))
        if size > MAX_VARIABLE_BYTES:
            flag = VARIABLE_FLAGS.get(name, "")
            title = f"the container would hold {size} bytes in {name}, and no process starts with more than {MAX_VARIABLE_BYTES}"
            why = "Linux takes no longer one. In a list, a character that is not ASCII takes six bytes, or twelve."
            yield make_unsupported_problem(
                code, title, flag, why, make_suggestions(f"fewer {flag}, or shorter ones", suggestions.get(name, ""))
            )


IMAGE_FORM = "It is [HOST[:PORT]/]NAME:TAG or …@sha256:DIGEST, its name in small letters, without white space."
_IMAGE_PART = r"[0-9a-z](?:[0-9a-z_.-]*[0-9a-z])?"
_IMAGE_HOST = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:\d))(?::\d{1,5})?"
_IMAGE_TAG = r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
_IMAGE = rf"(?:{_IMAGE_HOST}/)?{_IMAGE_PART}(?:/{_IMAGE_PART})*{_IMAGE_TAG}"


@dataclass(frozen=True, slots=True)
class ImageReference:
    """What tells one image from others of its name. digest: 64 hex digits. Both may be empty."""

    tag: str
    digest: str


def parse_image_reference(text: str) -> ImageReference | None:
    """What a reference says; None for a text that is none."""
    found = re.fullmatch(_IMAGE, text)
    return ImageReference(found["tag"] or "", found["digest"] or "") if found else None


TIME_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}


class QuantityError(ValueError):
    """A text that is no such quantity. instead: what would do, when known."""

    def __init__(self, why: str, suggestion: str = "") -> None:
        super().__init__(why)
        self.suggestion = suggestion


def parse_duration(text: str, longest: int, why: str) -> float:
    """Seconds of `12h`. longest: of them, whole days. why: what to say of more. Raises QuantityError."""
    found = re.fullmatch(r"(\d{1,15})(us|ms|s|m|h|d)", text, re.ASCII)
    if not found:
        raise QuantityError("A time is a whole number and one unit: s, m, h or d.", _guess_duration(text, longest))
    count = int(found[1]) * TIME_UNITS[found[2]]
    if count > longest:
        raise QuantityError(why, f"{longest // 86400}d")
    if count < 1:
        raise QuantityError("It is less than a second.")
    return count


def _guess_duration(text: str, longest: int) -> str:
    """`90m` of `1h30m`, `12h` of `12 hours`."""
    parts = re.findall(r"(\d{1,9})\s*([smhd])[a-z]*", text.lower(), re.ASCII)
    if not parts or re.sub(r"\d+\s*[smhd][a-z]*\s*", "", text.lower()):
        return ""
    total = sum(int(count) * int(TIME_UNITS[unit]) for count, unit in parts)
    unit = next(unit for unit in ("d", "h", "m", "s") if total % TIME_UNITS[unit] == 0)
    return f"{total // int(TIME_UNITS[unit])}{unit}" if 0 < total <= longest else ""


_TOKEN_PATTERN = (
    r"(?i)hf_[a-z0-9]{16,}|[a-z0-9+/]{80,}={0,2}|eyj[\w.-]{8,}"
    r"|wandb_v\d_\w{16,}|\w{40,}|(?<![a-z0-9])[a-f0-9]{32,}(?![a-z0-9])"
)
"""What tokens look like. Older keys of Weights & Biases, and those of storage, have nothing of their own but length."""


def looks_like_secret(text: str) -> bool:
    """Whether it should not be repeated, nor sent anywhere."""
    return bool(re.search(_TOKEN_PATTERN, text))
