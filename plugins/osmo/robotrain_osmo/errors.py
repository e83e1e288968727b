"""Problems that several stages report: invalid values, missing credentials, unknown names."""

import shlex
from collections.abc import Iterable

from robotrain.errors import Problem, Stage, Suggestion, find_nearest_name
from robotrain_azure import checks
from robotrain_azure.checks import Suggestions

from robotrain_osmo.spec import workflow
from robotrain_osmo.spec.submission_spec import OsmoCredential


def make_invalid_value_problem(flag: str, given: str, expected: str, why: str, instead: Suggestions = ()) -> Problem:
    """A value that is no such thing. What OSMO would read as a template is told as that."""
    if read := workflow.find_template_syntax(given):
        why = f"OSMO reads a workflow as a template, and Kubernetes puts variables in: `{read}` would begin one."
    return checks.make_invalid_value_problem("osmo-value-invalid", flag, given, expected, why, instead)


MAX_NAMES = 8


def suggest_names(flag: str, wanted: str, names: list[str]) -> tuple[Suggestion, ...]:
    """What to type in place of a name that is not there."""
    if not names:
        return (Suggestion("osmo pool list -t json", "shows what there is"),)
    near = find_nearest_name(wanted, names)
    first = near or names[0]
    rest = [name for name in sorted(names) if name != first]
    more = f", … ({len(rest) - MAX_NAMES} more)" if len(rest) > MAX_NAMES else ""
    return (
        Suggestion(f"{flag} {first}", f"there {'are' if rest else 'is'} {', '.join([first, *rest[:MAX_NAMES]])}{more}"),
    )


GENERIC_TYPE = "GENERIC"


def make_missing_credential_problem(credential: OsmoCredential, stage: Stage, available: Iterable[str] = ()) -> Problem:
    """It is not there. there: the names of those that are."""
    found = (
        f" There {'is' if len([*available]) == 1 else 'are'} {', '.join(sorted(available))}." if [*available] else ""
    )
    return Problem(
        code="osmo-credential-missing",
        stage=stage,
        title=f"OSMO holds no credential {credential.name} of yours",
        where=credential.flag,
        given=credential.name,
        why=f"It is to hold {credential.what}, under the key {credential.key}.{found}",
        suggestions=(
            Suggestion(make_credential_command(credential), "makes it, from a file that holds nothing else"),
            suggest_another_credential(credential),
        ),
    )


def make_missing_key_problem(credential: OsmoCredential, stage: Stage, keys: str) -> Problem:
    """It is there, without the key. keys: those that it has, in words."""
    return Problem(
        code="osmo-credential-key",
        stage=stage,
        title=f"the credential {credential.name} has no key {credential.key}",
        where=credential.flag,
        given=credential.name,
        why=keys,
        suggestions=(
            Suggestion(f"{credential.flag} {credential.name}:KEY", "names another key"),
            Suggestion(make_credential_command(credential)),
        ),
    )


def make_credential_command(credential: OsmoCredential) -> str:
    """The line that makes it."""
    name, key = shlex.quote(credential.name), shlex.quote(credential.key)
    return f"osmo credential set {name} --type {GENERIC_TYPE} --payload-file {key}=/path/to/file"


def suggest_another_credential(credential: OsmoCredential) -> Suggestion:
    return Suggestion(f"{credential.flag} NAME[:KEY]", "names another")
