"""Problems that platforms with a remote engine find before and during a submit, and suggestions of existing names."""

import functools
from collections.abc import Sequence

from robotrain.errors import Stage, Suggestion, find_nearest_name, make_problem

make_preflight_problem = functools.partial(make_problem, stage=Stage.PREFLIGHT)
"""Return a problem of the preflight stage."""

MAX_NAMES = 8


def suggest_names(template: str, wanted: str, names: Sequence[str], list_command: str) -> tuple[Suggestion, ...]:
    """Suggest the nearest name and list the others. `template`: the option with `{}` for the name."""
    if not names:
        return (Suggestion(list_command, "lists what exists"),)
    near = find_nearest_name(wanted, names) or (names[0] if len(names) == 1 else "")
    listed = [*([near] if near else []), *sorted(name for name in names if name != near)]
    more = f", … ({len(listed) - MAX_NAMES} more)" if len(listed) > MAX_NAMES else ""
    return (Suggestion(template.replace("{}", near or "NAME"), f"existing: {', '.join(listed[:MAX_NAMES])}{more}"),)
