"""The OSMO credentials that are there, and how one is made: from a file, never from a word of the command line."""

import shlex
from collections.abc import Iterable, Iterator, Mapping

from robotrain.problem import Instead, Problem, Stage

from robotrain_osmo.cli import asking
from robotrain_osmo.order import Credential, Order

GENERIC = "GENERIC"


def listed(cli: str, seconds: float) -> dict[str, str]:
    """The type of each, by name; what they hold, or which keys, OSMO does not tell. Raises Refused."""
    answer = asking.ask(cli, "credential", "--format-type", "json", "list", seconds=seconds, stage=Stage.PREFLIGHT)
    told = answer.get("credentials") if isinstance(answer, dict) else None
    rows = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    return {str(one.get("cred_name")): str(one.get("cred_type")) for one in rows}


def problems(order: Order, seconds: float) -> Iterator[Problem]:
    """Credentials that the workflow names, and that are not there: OSMO would refuse it. Raises Refused."""
    if order.credentials:
        yield from lacking(order, listed(order.cli, seconds))


def lacking(order: Order, there: Mapping[str, str]) -> Iterator[Problem]:
    """The same. there: the type of each credential that there is, by name."""
    for one in order.credentials:
        if one.name not in there:
            yield missing(one, Stage.PREFLIGHT, there)
        elif there[one.name] != GENERIC:
            yield _of_another_type(one, there[one.name])


def missing(wanted: Credential, stage: Stage, there: Iterable[str] = ()) -> Problem:
    """It is not there. there: the names of those that are."""
    found = f" There {'is' if len([*there]) == 1 else 'are'} {', '.join(sorted(there))}." if [*there] else ""
    return Problem(
        code="osmo-credential-missing",
        stage=stage,
        title=f"OSMO holds no credential {wanted.name} of yours",
        where=wanted.flag,
        given=wanted.name,
        why=f"It is to hold {wanted.what}, under the key {wanted.key}.{found}",
        instead=(Instead(made_with(wanted), "makes it, from a file that holds nothing else"), _another(wanted)),
    )


def keyless(wanted: Credential, stage: Stage, keys: str) -> Problem:
    """It is there, without the key. keys: those that it has, in words."""
    return Problem(
        code="osmo-credential-key",
        stage=stage,
        title=f"the credential {wanted.name} has no key {wanted.key}",
        where=wanted.flag,
        given=wanted.name,
        why=keys,
        instead=(Instead(f"{wanted.flag} {wanted.name}:KEY", "names another key"), Instead(made_with(wanted))),
    )


def made_with(wanted: Credential) -> str:
    """The line that makes it."""
    name, key = shlex.quote(wanted.name), shlex.quote(wanted.key)
    return f"osmo credential set {name} --type {GENERIC} --payload-file {key}=/path/to/file"


def _another(wanted: Credential) -> Instead:
    return Instead(f"{wanted.flag} NAME[:KEY]", "names another")


def _of_another_type(wanted: Credential, kind: str) -> Problem:
    return Problem(
        code="osmo-credential-type",
        stage=Stage.PREFLIGHT,
        title=f"the credential {wanted.name} is one for {kind.lower()}, and a task reads none but {GENERIC} ones",
        where=wanted.flag,
        given=wanted.name,
        instead=(_another(wanted), Instead(made_with(wanted), "takes the place of that one")),
    )
