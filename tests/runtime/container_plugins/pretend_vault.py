"""A store of secrets: `vault://NAME` is the name in capitals, unless it is `vault://gone`."""

from robotrain_runtime.contract.problem import ProblemError, make_data_problem


def accepts(address: str) -> bool:
    return address.startswith("vault://")


def read(address: str) -> str:
    name = address.removeprefix("vault://")
    if name == "gone":
        raise ProblemError(make_data_problem("there is no secret gone in the vault", "vault create gone"))
    return name.upper()
