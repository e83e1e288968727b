"""Problems that several stages report: invalid values, missing credentials, unknown names."""

import shlex
from collections.abc import Iterable

from robotrain.errors import Problem, Stage, Suggestion, find_nearest_name
from robotrain_azure import checks
from robotrain_azure.checks import Suggestions

from robotrain_osmo.spec import workflow
from robotrain_osmo.spec.submission_spec import OsmoCredential


def make_invalid_value_problem(
    flag: str, given: str, expected: str, why: str, suggestions: Suggestions = ()
) -> Problem:
    """Return the problem of an invalid value, naming template syntax if it contains any."""
    if syntax := workflow.find_template_syntax(given):
        why = f"OSMO and Kubernetes would read `{syntax}` as the start of a template expression or variable."
    return checks.make_invalid_value_problem("osmo-value-invalid", flag, given, expected, why, suggestions)


MAX_NAMES = 8


def suggest_names(flag: str, wanted: str, names: list[str]) -> tuple[Suggestion, ...]:
    """Suggest existing names instead of an unknown one, the nearest first."""
    if not names:
        return (Suggestion("osmo pool list -t json", "lists the pools"),)
    first = find_nearest_name(wanted, names) or names[0]
    rest = [name for name in sorted(names) if name != first]
    more = f", … ({len(rest) - MAX_NAMES} more)" if len(rest) > MAX_NAMES else ""
    return (Suggestion(f"{flag} {first}", f"available: {', '.join([first, *rest[:MAX_NAMES]])}{more}"),)


GENERIC_TYPE = "GENERIC"


def make_missing_credential_problem(credential: OsmoCredential, stage: Stage, available: Iterable[str] = ()) -> Problem:
    """Return the problem of a credential that OSMO does not have. `available`: the names it has."""
    names = ", ".join(sorted(available))
    return Problem(
        code="osmo-credential-missing",
        stage=stage,
        title=f"you have no OSMO credential {credential.name}",
        where=credential.flag,
        given=credential.name,
        why=f"It must hold {credential.what} under the key {credential.key}."
        + (f" Available: {names}." if names else ""),
        suggestions=(
            Suggestion(make_credential_command(credential), "creates it from a file that contains only the secret"),
            suggest_another_credential(credential),
        ),
    )


def make_missing_key_problem(credential: OsmoCredential, stage: Stage, keys: str) -> Problem:
    """Return the problem of a credential without the needed key. `keys`: a sentence on the keys it has."""
    return Problem(
        code="osmo-credential-key",
        stage=stage,
        title=f"the credential {credential.name} has no key {credential.key}",
        where=credential.flag,
        given=credential.name,
        why=keys,
        suggestions=(
            Suggestion(f"{credential.flag} {credential.name}:KEY", "uses another key"),
            Suggestion(make_credential_command(credential)),
        ),
    )


def make_credential_command(credential: OsmoCredential) -> str:
    """Return the command that creates the credential."""
    name, key = shlex.quote(credential.name), shlex.quote(credential.key)
    return f"osmo credential set {name} --type {GENERIC_TYPE} --payload-file {key}=/path/to/file"


def suggest_another_credential(credential: OsmoCredential) -> Suggestion:
    """Suggest naming another credential."""
    return Suggestion(f"{credential.flag} NAME[:KEY]", "uses another credential")
