"""How a platform loads what it names: `MODULE:CLASS` is imported when it is needed."""

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import MAX_SENTENCE, redact

make_problem = Messages(__file__)


class PlatformNotLoaded(Rejected):
    """The plans or the engine of a platform cannot be imported or made."""


def load_part(part: str | Callable[[Any], Any], platform: Any) -> Any:
    """Return the plans or the engine of a platform, by its class or `MODULE:CLASS`. Raise PlatformNotLoaded."""
    try:
        return (resolve_name(part) if isinstance(part, str) else part)(platform)
    except Exception as error:  # whatever a plugin raises
        reason = redact(f"{type(error).__name__}: {error}", max_length=MAX_SENTENCE)
        way = Suggestion(f"robotrain --without platform.{platform.name} …", "continues without it")
        problem = make_problem("plugin-failed.platform", way, name=platform.name, named=str(part), reason=reason)
        raise PlatformNotLoaded([problem]) from error
