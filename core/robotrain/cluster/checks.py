"""Helpers of a platform's rules: problems, template syntax, names, durations, image references."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import Job

make_problem = Messages(__file__)


class TemplateGuard(NamedTuple):
    """What an engine reads as the start of an expression in any text that it is sent."""

    pattern: str
    why: str
    """Why a value with it is refused: a sentence with `{}` for what was found."""

    def find_syntax(self, text: str) -> str:
        """Return the first start of an expression in a text; empty if there is none."""
        match = re.search(self.pattern, text)
        return match[0] if match else ""

    def make_invalid_value_problem(
        self, flag: str, text: str, expected: str, reason: str, *fixes: Suggestion | str
    ) -> Problem:
        """Return the problem of an option's value that has the wrong form; an expression in it is named."""
        if syntax := self.find_syntax(text):
            reason = self.why.format(syntax)
        return make_problem("value-invalid", *fixes, where=flag, given=text, expected=expected, why=reason)

    def check_pattern(self, flag: str, text: str, pattern: str, expected_form: str, reason: str) -> Iterator[Problem]:
        """Check that an option's value matches the pattern as a whole. `reason`: which values do."""
        if not re.fullmatch(pattern, text):
            yield self.make_invalid_value_problem(flag, text, expected_form, reason)


def check_unused_gpus(job: Job, requested: int | None, engine: str) -> Iterator[Problem]:
    """Warn of GPUs that a job asks for and does not use, since it computes on the CPU."""
    if requested and not job.used_gpus:
        yield make_problem("gpus-unused", given=str(requested), requested=requested, engine=engine)


MAX_NAMES = 8


def suggest_names(template: str, names: Sequence[str], list_command: str) -> tuple[Suggestion, ...]:
    """List the names that exist; without any, suggest the command that lists them."""
    if not names:
        return (Suggestion(list_command, "lists what exists"),)
    more = f", … ({len(names) - MAX_NAMES} more)" if len(names) > MAX_NAMES else ""
    option = template.replace("{}", shlex.quote(names[0]) if len(names) == 1 else "NAME")
    return (Suggestion(option, f"existing: {', '.join(sorted(names)[:MAX_NAMES])}{more}"),)


MAX_VARIABLE_BYTES = 131_072
"""Linux's limit for one environment variable: name, value and the terminating zero (MAX_ARG_STRLEN)."""


def check_variable_sizes(variables: Mapping[str, str], flags: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Check that the environment variables of the container are not too long.

    :param flags: by variable, the option that fills it, and shorter ones to use instead.
    """
    for name, value in variables.items():
        size = len(f"{name}={value}\0".encode("utf-8", "surrogatepass"))
        if size > MAX_VARIABLE_BYTES:
            flag, *shorter_ways = flags[name]
            ways = (f"use fewer or shorter {flag} values", *shorter_ways)
            yield make_problem("variable-too-long", *ways, where=flag, name=name, size=size, most=MAX_VARIABLE_BYTES)


IMAGE_FORM = "The form is [HOST[:PORT]/]NAME:TAG or …@sha256:DIGEST, with a lowercase name and no spaces."
_IMAGE_PART = r"[0-9a-z](?:[0-9a-z_.-]*[0-9a-z])?"
_IMAGE_HOST = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:\d))(?::\d{1,5})?"
_IMAGE_TAG = r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
_IMAGE = rf"(?:{_IMAGE_HOST}/)?{_IMAGE_PART}(?:/{_IMAGE_PART})*{_IMAGE_TAG}"


@dataclass(frozen=True)
class ImageReference:
    """The tag and the digest (64 hex digits) of an image reference; each may be empty."""

    tag: str
    digest: str


def parse_image_reference(text: str) -> ImageReference | None:
    """Parse an image reference; None if it is not valid."""
    match = re.fullmatch(_IMAGE, text)
    return ImageReference(match["tag"] or "", match["digest"] or "") if match else None


TIME_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}


class QuantityError(ValueError):
    """An invalid quantity, with a valid `suggestion` if one is known."""

    def __init__(self, reason: str, suggestion: str = "") -> None:
        super().__init__(reason)
        self.suggestion = suggestion


def parse_duration(text: str, longest: int, reason: str) -> float:
    """Return the seconds of a duration like `12h`. Raises QuantityError.

    `longest` is the limit in seconds, whole days; `reason` is the message for more.
    """
    match = re.fullmatch(r"(\d{1,15})(us|ms|s|m|h|d)", text, re.ASCII)
    if not match:
        raise QuantityError("A duration is a whole number and one unit: s, m, h or d.")
    seconds = int(match[1]) * TIME_UNITS[match[2]]
    if seconds > longest:
        raise QuantityError(reason, f"{longest // 86400}d")
    if seconds < 1:
        raise QuantityError("It is less than a second.")
    return seconds
