"""Names in the filters of `robotrain runs`: platforms, workloads and values that plugins declare or runs have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Rejected, Suggestion, find_nearest_name, suggest_name, usage_problem
from robotrain.redaction import redact
from robotrain.store import plans, records

if TYPE_CHECKING:
    from robotrain.model.run import RunRecord
    from robotrain.plugins.manager import Plugins


def find_unknown_names(plugins: Plugins, platform: str = "", workload: str = "") -> Iterator[Problem]:
    """Yield the problem of a platform or workload that is not installed and that no run has."""
    for family, name in (("platform", platform), ("workload", workload)):
        known = plugins.list_names(family)
        if not name or name in known:
            continue
        used = {getattr(record, family) for record in _read_records()}
        if name not in used:
            every = sorted({*known, *used})
            title, why = f"there is no {family} {redact(name)!r}", f"{family.capitalize()}s: {', '.join(every)}."
            near = suggest_name(name, every, prefix=f"--{family} ")
            yield usage_problem(f"{family}-not-loaded", title, f"--{family}", why, suggestions=near)


def _read_records() -> Iterator[RunRecord]:
    for run in records.iterate_runs():
        try:
            yield records.read_record(run)
        except Rejected:
            continue


class ValueKeys:
    """The keys of `--set`, each with the names of values that it means, and the problems of unknown ones."""

    def __init__(self, plugins: Plugins, keys: Sequence[str]) -> None:
        self._plugins = plugins
        self.names: dict[str, tuple[str, ...]] = {}
        self.problems: list[Problem] = []
        declared = dict(self._list_declared()) if keys else {}
        recorded: set[str] | None = None
        for key in keys:
            name = key if key.startswith("-") else key.replace("-", "_")
            self.names[key] = declared.get(name) or declared.get(key) or (name,)
            if name in declared or key in declared or self._find_option(key) == key:
                continue
            recorded = _list_recorded() if recorded is None else recorded
            if name not in recorded:
                self.problems.append(self._make_problem(key, name, {*declared, *recorded}))

    def _list_declared(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the names that plugins declare, and their flags with and without dashes, with what these mean."""
        from robotrain_runtime.contract.parameter import get_parameters

        from robotrain.config.overrides import list_flag_keys

        workloads, platforms = self._plugins.workloads().values(), self._plugins.platforms().values()
        meanings: dict[str, dict[str, None]] = {}
        for flag, key in list_flag_keys(workloads, platforms, self._plugins.source_kinds()):
            name = key.split(".")[1] if key.startswith("sources.") else key
            for spelling in (flag, flag.lstrip("-").replace("-", "_")):
                meanings.setdefault(spelling, {})[name] = None
        yield from ((spelling, tuple(names)) for spelling, names in meanings.items() if spelling.lstrip("-")[1:])
        declared = [*(one.parameters for one in workloads), *(one.settings for one in platforms)]
        yield from ((one.name, (one.name,)) for table in declared for one in get_parameters(table))
        yield from ((role, (role,)) for one in workloads for role in one.roles)

    def _find_option(self, key: str) -> str:
        """Return the option of a workload's program that a key is, or is like; empty for none."""
        from robotrain.config.trainer_args import find_option_of_program

        flag = f"--{key.lstrip('-')}"
        for workload in self._plugins.workloads().values() if "." in key or key.startswith("-") else ():
            if option := find_option_of_program(workload.option_finder, flag, "").partition("=")[0]:
                return option
        return ""

    def _make_problem(self, key: str, name: str, known: set[str]) -> Problem:
        near = self._find_option(key) or find_nearest_name(name, known)
        title = f"no run has a value {redact(key)!r}, and no plugin declares it"
        ways = [Suggestion(f"--set {near}=VALUE")] if near else []
        return usage_problem("set-unknown-key", title, "--set", suggestions=ways)


def _list_recorded() -> set[str]:
    """Return the names of all values that runs have, those of defaults included."""
    found = set[str]()
    for record in _read_records():
        found |= {*record.values, *(str(row["name"]) for row in plans.read_stored_values(record.run))}
    return found
