"""The change of a job that the reason of its failure names, as words of `resubmit` and `resume`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from robotrain_runtime.contract.parameter import Parameter

    from robotrain.model.run import RunRecord

INSTEAD = "Instead: "
"""Before the remedies of a finding, of which the best is first; ` / ` is between them."""
HINT = r"\(([^()]*)\)$"
"""The remedy at the end of a sentence; `; ` is between several."""
VALUE = "VALUE"
"""Stands for what the user has to choose."""
OPTION = r"(?<![\w.-])--[A-Za-z][\w.-]*"


class NamedChange(NamedTuple):
    """Words that change a job."""

    words: str
    replaced: str = ""
    """What `VALUE` in the words stands in place of; empty if it is unknown."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing has to be chosen."""
        return VALUE not in self.words.replace("=", " ").split()


def find_named_change(record: RunRecord, texts: Sequence[str]) -> NamedChange | None:
    """Return the change that sentences about a failure name: the remedies of them all, else the options that they name;
    None if they name none that the job has.
    """
    parameters = _find_parameters(record)
    found = [change for text in texts if (change := _find_remedy(record, text, parameters))]
    if found:
        sets = [words for words in dict.fromkeys(found) if not words.startswith("-- ")]
        options = [words.removeprefix("-- ") for words in dict.fromkeys(found) if words.startswith("-- ")]
        return NamedChange(" ".join([*sets, *["--"] * bool(options), *options]))
    if named := find_named_options(record, " ".join(texts)):
        given = " and ".join(record.values[name][0] for name in named)
        return NamedChange(" ".join(["--", *(f"{name}={VALUE}" for name in named)]), given)
    for flag in re.findall(OPTION, " ".join(texts)):
        if parameter := parameters.get(flag):
            return NamedChange(f"--set {parameter.name}={VALUE}", _get_current(record, parameter))
    return None


def find_named_options(record: RunRecord, text: str) -> list[str]:
    """Return the options for the trainer that the run had and that a text names."""
    known = [name for name in record.values if name.startswith("-") or "." in name]
    return [name for name in known if re.search(rf"(?<![\w.-]){re.escape(name)}(?!\.?[\w-])", text)]


def _find_parameters(record: RunRecord) -> dict[str, Parameter]:
    """Return the parameters and settings of a run's job by their options; none of plugins that are gone."""
    from robotrain_runtime.contract.parameter import get_parameters  # costs start-up

    from robotrain.plugins import manager
    from robotrain.plugins.failures import PluginError

    plugins = manager.get_plugins()
    try:
        declared = (plugins.platform_of(record).settings, plugins.workload(record.workload).parameters)
    except PluginError:
        return {}
    return {flag: one for group in declared for one in get_parameters(group) for flag in one.flags}


def _find_remedy(record: RunRecord, text: str, parameters: dict[str, Parameter]) -> str:
    """Return the first remedy of a sentence that changes the job; empty if there is none."""
    _, instead, remedies = text.partition(INSTEAD)
    hint = re.search(HINT, text.rstrip("."))
    offered = remedies.split(" / ") if instead else hint[1].split("; ") if hint else ()
    return next((words for one in offered for words in _parse_remedy(record, one, parameters)), "")


def _parse_remedy(record: RunRecord, remedy: str, parameters: dict[str, Parameter]) -> Iterator[str]:
    if own := re.match(r"(--set|--) (-{0,2}[A-Za-z][\w.-]*)=(\S+)", remedy):
        yield f"{own[1]} {own[2]}={shlex.quote(own[3])}"
        return
    found = re.match(rf"({OPTION})(?:[ =](\S+))?", remedy)
    if not found or not (parameter := parameters.get(found[1])):
        return
    value = "true" if parameter.is_switch else (found[2] or VALUE).rstrip(",;:.")
    if not re.fullmatch("[A-Z_]+", value) and value != _get_current(record, parameter):
        yield f"--set {parameter.name}={shlex.quote(value)}"


def _get_current(record: RunRecord, parameter: Parameter) -> str:
    """Return the value that the run had, as a text; empty for none."""
    known = record.values.get(parameter.name)
    value = known[0] if known else record.settings.get(parameter.name, parameter.default)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
