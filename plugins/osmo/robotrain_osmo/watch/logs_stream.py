"""One stream of `osmo workflow logs`: its lines as OSMO wrote them, without what the command itself says."""

from collections.abc import Iterator

from robotrain.run import Reference

from robotrain_osmo.cli import asking, command, refusals
from robotrain_osmo.cli.stream import Stream
from robotrain_osmo.watch import lines, status_asked

QUIET_SECONDS = 1.5
"""Without a line, until a log counts as read for now: OSMO looks for new ones once a second."""
START_SECONDS = 15.0
"""Until the command has begun to print."""
ERROR = "Error message: "


def opened(reference: Reference, *more: str) -> Stream:
    """The log of the whole workflow; to be used in a `with`. Raises Rejected when there is no such command."""
    cli = status_asked.cli(reference)
    try:
        return command.stream(cli, "workflow", "logs", reference.get("workflow", ""), *more)
    except command.NoCommand as error:
        raise refusals.Refused(refusals.no_command(cli, str(error))) from error


def raw(log: Stream, start: float = START_SECONDS) -> Iterator[str | None]:
    """Each line; None each time that none came for QUIET_SECONDS, or for `start` seconds before the first. Raises
    Rejected when the command failed.
    """
    begun, held = False, list[str]()
    while True:
        try:
            line = log.line(QUIET_SECONDS if begun else start)
        except EOFError:
            yield from _own(held)
            asking.judge(log.answer())
            return
        if line is None:
            yield from held
            held.clear()
            yield None
        elif lines.stamp(line):
            begun = True
            yield from held
            held.clear()
            yield line
        elif begun:
            held.append(line)  # what belongs to the line before, or what the command says at its end
        else:
            begun = lines.is_header(line)


def _own(held: list[str]) -> list[str]:
    """Of the last lines without a time, those that are not the command's."""
    said = next((at for at, line in enumerate(held) if lines.is_break(line) or line.startswith(ERROR)), None)
    kept = held if said is None else held[:said]
    return kept[:-1] if said is not None and kept and not kept[-1] else kept
