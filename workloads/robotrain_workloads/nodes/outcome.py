"""How the ends of several nodes become the end of a run: one rule, whatever started their processes.

| the program of a node | the run |
|---|---|
| failed by itself, or crashed | fails as it did |
| or one of its processes was killed | 128 + the signal: worth another start if it has saved something new |
| was stopped, as the run was asked to | 143 |
| was stopped, which nobody asked of the run | EXIT_RETRY |
| ended with 0, and another one waited for it until it was stopped | EXIT_RETRY |
| left no report: its machine or its launcher was lost, or it was stopped or killed as it began | EXIT_RETRY |
| lost the connection to another one | as that one |

Where several apply, a killed node comes first: others crash or lose their connection because of it. Then counts what
came first.
"""

import re
from collections import Counter
from collections.abc import Sequence

from robotrain_runtime.contract import failure
from robotrain_runtime.contract.failure import EXIT_RETRY
from robotrain_runtime.process.stop import STOPPED_STATUS

from robotrain_workloads.nodes.node_group import NodeEnd

CONSEQUENCE = re.compile(
    r"(?i)connection (was )?(likely )?(closed|reset)\b|broken pipe|\bncclRemoteError\b|\bDist(Network|Store)Error\b"
    r"|\bRendezvous\w*Error\b|\bSignalException\b|the nodes did not meet"
)
"""The error of a process whose connection to another one was lost, or never made."""


def is_decided(ends: Sequence[NodeEnd], count: int, is_stopped: bool) -> bool:
    """Return whether the run ends whatever other nodes do: all have ended, or one as no other may go on without it."""
    return len(ends) >= count or (not is_stopped and any(end.status for end in ends))


def choose_end(
    ends: Sequence[NodeEnd], started_nodes: Sequence[str], code: int, count: int, is_stopped: bool
) -> tuple[int, str]:
    """Return the exit status, and what is printed about it, whose last line names the node.

    :param ends: those of the nodes that reported one, in their order.
    :param started_nodes: the names of the nodes whose programs were started.
    :param code: the exit code of the platform's command.
    :param is_stopped: whether the run was asked to stop.
    """
    failed_ends = [end for end in ends if end.status not in (0, STOPPED_STATUS)]
    stops = [] if is_stopped else [end for end in ends if end.status == STOPPED_STATUS]
    causes = [end for end in failed_ends if _is_cause(end)]
    is_lost = len(ends) < count
    if not (causes or stops or is_lost or is_stopped):
        causes = failed_ends  # they blame one another
    first_failure = min(causes, key=lambda end: (not failure.is_outside_end(end.status), end.time), default=None)
    if first_failure and (
        failure.is_outside_end(first_failure.status) or not any(end.time < first_failure.time for end in stops)
    ):
        return first_failure.status, _describe_failure(first_failure, count)
    if is_stopped:
        return (
            (failed_ends[0].status, _describe_failure(failed_ends[0], count)) if failed_ends else (STOPPED_STATUS, "")
        )
    if is_lost and not first_failure:
        is_early = len(started_nodes) < count and failure.is_outside_end(code)
        status = EXIT_RETRY if ends or is_early else (128 - code if code < 0 else code) or 1
        return status, f"error: {_explain_missing(ends, started_nodes, count, is_early=is_early)}"
    if stops and (left_ends := [end for end in ends if end.status == 0 and end.time < stops[0].time]):
        return EXIT_RETRY, f"error: node {_name_node(left_ends[0], count)} ended with 0, and the others waited for it"
    if stops:
        failure_note = (
            f"; then {_describe_failure(first_failure, count).splitlines()[-1].removeprefix('error: ')}"
            if first_failure
            else ""
        )
        return EXIT_RETRY, f"error: node {_name_node(stops[0], count)} was stopped, but not the run{failure_note}"
    return 0, ""


def _is_cause(end: NodeEnd) -> bool:
    return failure.is_outside_end(end.status) or bool(end.text and not CONSEQUENCE.search(end.text))


def _name_node(end: NodeEnd, count: int) -> str:
    """Return a node as messages name it: by its rank, where it has one, and its machine."""
    if end.rank is None:
        return end.node or "unknown"
    return f"{end.rank} of {count}" + f" ({end.node})" * bool(end.node)


def _describe_failure(end: NodeEnd, count: int) -> str:
    """Return the text of an end, whose last line names the node; empty for none."""
    error_lines = end.text.strip().splitlines()
    if not error_lines:
        return ""
    reason = failure.explain_output(error_lines).removeprefix(failure.ERROR_PREFIX)
    return "\n".join(
        [*(error_lines if len(error_lines) > 1 else ()), failure.NODE_END.format(_name_node(end, count), reason)]
    )


def _explain_missing(ends: Sequence[NodeEnd], started: Sequence[str], count: int, *, is_early: bool) -> str:
    """Return what became of the nodes that reported no end."""
    if len(started) < count:
        missing_text = f"{count - len(started)} of {count} nodes did not start the program"
        if is_early:
            return f"{missing_text}: one was stopped or killed before"
        return f"{missing_text}: each must see the run folder and the cache, as the first one does"
    lost_nodes = Counter(started) - Counter(end.node for end in ends)
    lost_text = (
        f"{count - len(ends)} of {count} nodes ended without a report: {', '.join(lost_nodes)} was lost or killed"
    )
    last_line = next((error_lines[-1] for end in ends if (error_lines := end.text.strip().splitlines())), "")
    return f"{lost_text}, and then the connection to it: {last_line}" if last_line else lost_text
