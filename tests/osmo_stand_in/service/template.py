"""The text of a workflow: its sections, which are found by pattern, and its rendering by Jinja in a sandbox."""

import contextlib
import hashlib
import re
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from osmo_stand_in import refusal
from osmo_stand_in.config import Version

SECTION = re.compile(r"^([a-zA-Z][a-zA-Z0-9_-]*):(.*?)(?=^[a-zA-Z][a-zA-Z0-9_-]*:|\Z)", re.DOTALL | re.MULTILINE)
SECTIONS = ("workflow", "default-values", "version")
MARKERS = ("{%", "{{", "{#", "default-values")
MARKERS_BEFORE_6_4 = ("{%%", "{{", "{#", "default-values")


def templated(text: str, client: Version) -> bool:
    """Whether the command takes a text for a template. Before 6.4 it did not see a lone `{%`."""
    return any(marker in text for marker in (MARKERS if client >= (6, 4, 0) else MARKERS_BEFORE_6_4))


def find_workflow(text: str, service: Version) -> str:
    """The workflow section, as text. Raises Refusal."""
    found: dict[str, str] = {}
    strict = service >= (6, 2, 0)
    for match in SECTION.finditer(text):
        key = match[1]
        if strict and key not in SECTIONS:
            raise refusal.user(f'Unknown top-level key "{key}" found in the workflow spec.')
        if key in found:
            result = f'Duplicate top-level key "{key}" found' if strict else "Multiple workflows sections found"
            raise refusal.user(f"{result} in the workflow spec.")
        found[key] = match[0]
    if "workflow" not in found:
        raise refusal.user("Workflow spec not found.")
    return found["workflow"]


TOKEN = re.compile(r"{{(uuid|workflow_id|output|input:[^}]+|host:[^}]+)}}")
TOO_LARGE = 1 << 20
"""Letters that are sent. The real one's limit is time: on two busy cores 512 KiB passed and 1,000 KiB did not."""


def render(text: str, seconds: float = 0.5, hurried: bool = False) -> str:
    """What becomes of a text. hurried: the time limit is met, whatever it is. Raises Refusal.

    OSMO's own tokens survive, written exactly so. Only this process's own work counts for the time: a busy machine is
    no failure here.
    """
    from jinja2 import StrictUndefined
    from jinja2.exceptions import TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    text, values = _keep_tokens(text)
    try:
        if hurried or len(text) > TOO_LARGE:
            raise _overdue(seconds)
        with _limited(seconds):
            return SandboxedEnvironment(undefined=StrictUndefined).from_string(text).render(values)
    except (TemplateError, TimeoutError) as error:
        raise refusal.usage(f"Jinja substitution failure: {type(error)}: {error}") from error


def _keep_tokens(text: str) -> tuple[str, dict[str, str]]:
    values = {}
    for token in dict.fromkeys(TOKEN.findall(text)):
        name = "hash" + str(int(hashlib.md5(token.encode()).hexdigest(), 16))
        values[name] = "{{" + token + "}}"
        text = text.replace("{{" + token + "}}", "{{" + name + "}}")
    return text, values


def _overdue(seconds: float) -> TimeoutError:
    return TimeoutError(f"Process exceeded time limit of {seconds} seconds")


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise _overdue(seconds)

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
