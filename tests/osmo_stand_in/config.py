"""How the service is set up, and which calls of the command fail. Plain values, kept in files of the state."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from osmo_stand_in.state import State

Version = tuple[int, ...]
Values = dict[str, Any]


def platform(
    allowed_mounts: Sequence[str] = (), default_mounts: Sequence[str] = (), node: Values | None = None
) -> Values:
    """A kind of machine of a pool. node: one of it, as `{"cpu": 8, "memory": "64Gi", "storage": "99Gi", "gpu": 1}`."""
    mounts = {"allowed_mounts": list(allowed_mounts), "default_mounts": list(default_mounts)}
    return {"description": "", "host_network_allowed": False, "privileged_allowed": False, **mounts, "node": node}


def pool(platforms: dict[str, Values] | None = None, status: str = "ONLINE", max_exec_timeout: str = "") -> Values:
    """A pool."""
    kinds = {"gpu_platform": platform()} if platforms is None else platforms
    return {
        **{"description": "d", "status": status, "backend": "default", "default_platform": next(iter(kinds), None)},
        **{"max_exec_timeout": max_exec_timeout, "max_queue_timeout": ""},
        "platforms": kinds,
    }


def expose_machine(pool: str, kind: str, node: Values) -> Values:
    """What is shown of a machine: sizes are whole GiB, and all are texts."""
    sizes = {name: str(node[name]).removesuffix("Gi") for name in ("storage", "cpu", "memory")}
    return {"node": f"node-{kind}", "pool/platform": [f"{pool}/{kind}"], **sizes, "gpu": str(node.get("gpu", 0))}


DEFAULT: Values = {
    "client": "6.4.0",
    "service": "6.4.0",
    "user": "testuser",
    "profile_pool": None,
    "pools": {"default": pool({"gpu_platform": platform(), "gpu": platform()})},
    "credentials": {},
    "buckets": [],
    "cancelling": "at-once",
    "data_access": True,
    "max_retry_per_task": 0,
    "faults": [],
}


def read(state: State) -> Values:
    """The set-up as it is now."""
    there: Values | None = state.read("service")
    return copy.deepcopy(DEFAULT) if there is None else there


def change(state: State, **values: Any) -> None:
    """Set up some of it anew."""
    with state.alone():
        state.write("service", {**read(state), **values})


def numbers(version: str) -> Version:
    """A version to compare."""
    return tuple(int(part) for part in version.split("."))


@dataclass(frozen=True)
class Fault:
    """What happens to calls with the words `on`, in this order (empty: to all). times: how often; None for ever.

    after: how many such calls pass unharmed first. code, stdout: of an `answer`. seconds: of `slow` and `hang` (0:
    until it is killed).
    """

    on: str
    form: Literal["answer", "hang", "slow", "refused", "server_error", "html", "lost", "database", "broken"]
    times: int | None = 1
    after: int = 0
    seconds: float = 0.0
    code: int = 0
    stdout: str = ""

    def means(self, argv: Sequence[str]) -> bool:
        """Whether a call is one of these."""
        result = iter(argv)
        return self.times != 0 and all(word in result for word in self.on.split())


def take_fault(state: State, argv: Sequence[str]) -> Fault | None:
    """What a call meets, if anything: the first that means it; it is used up by that."""
    if not read(state)["faults"]:
        return None
    with state.alone():
        faults = [Fault(**fields) for fields in read(state)["faults"]]
        for index, fault in enumerate(faults):
            if fault.means(argv):
                used = {"after": fault.after - 1} if fault.after else {"times": fault.times and fault.times - 1}
                faults[index] = replace(fault, **used)
                change(state, faults=[asdict(fault) for fault in faults])
                if not fault.after:
                    return fault
    return None
