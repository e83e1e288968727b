"""Problems that platforms with a remote engine find before and during a submit, and suggestions of existing names."""

from collections.abc import Sequence

from robotrain.errors import Problem, Severity, Stage, Suggestion, find_nearest_name, make_problem


def make_preflight_problem(
    code: str,
    title: str,
    where: str = "",
    given: str = "",
    why: str = "",
    *suggestions: Suggestion | str,
    severity: Severity = "error",
) -> Problem:
    """Return a problem of the preflight stage. `why` must not hold secrets."""
    return make_problem(code, title, where, given, why, *suggestions, stage=Stage.PREFLIGHT, severity=severity)


MAX_NAMES = 8


def suggest_names(template: str, wanted: str, names: Sequence[str], list_command: str) -> tuple[Suggestion, ...]:
    """Suggest the nearest name and list the others. `template`: the option with `{}` for the name."""
    if not names:
        return (Suggestion(list_command, "lists what exists"),)
    near = find_nearest_name(wanted, names) or (names[0] if len(names) == 1 else "")
    listed = [*([near] if near else []), *sorted(name for name in names if name != near)]
    more = f", … ({len(listed) - MAX_NAMES} more)" if len(listed) > MAX_NAMES else ""
    return (Suggestion(template.replace("{}", near or "NAME"), f"existing: {', '.join(listed[:MAX_NAMES])}{more}"),)
