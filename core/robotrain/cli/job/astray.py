"""Options that are another workload's or platform's: whose they are, and which workload was meant."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from robotrain.cli.job.choice import Choice, loaded
from robotrain.cli.job.options import every_flag
from robotrain.problem import Instead, Problem, Stage
from robotrain.provenance import DEFAULT
from robotrain.redaction import redact

WORKLOAD = "workload "


def owners(flag: str, chosen: Choice, plugins: Any) -> Iterator[str]:
    """The platforms and workloads, in words, that have an option, without those that were chosen."""
    for name, platform in plugins.platforms().items():
        if name != chosen.platform and flag in every_flag(platform.settings):
            yield f"platform {name}"
    for name, workload in plugins.workloads().items():
        if name != chosen.workload and flag in every_flag(workload.parameters):
            yield f"workload {name}"


def of_others(unknown: Sequence[str], chosen: Choice, plugins: Any) -> dict[str, list[str]]:
    """The unknown options that belong to one other workload and to nothing else, by its name."""
    found: dict[str, list[str]] = {}
    platform = loaded(plugins.platform, chosen.platform)
    for flag in unknown:
        whose = list(owners(flag, chosen, plugins))
        declined = platform is not None and flag in platform.declined
        workload = loaded(plugins.workload, chosen.workload)
        declined = declined or (workload is not None and flag in workload.option_hints)
        if len(whose) == 1 and whose[0].startswith(WORKLOAD) and not declined:
            found.setdefault(whose[0].removeprefix(WORKLOAD), []).append(flag)
    return found


def told(name: str, flags: Sequence[str], chosen: Choice) -> Problem:
    """Options of a workload that was not chosen, told once."""
    named = list(dict.fromkeys(map(redact, flags)))
    are = "is an option" if len(named) == 1 else "are options"
    assumed = chosen.origins[0] == DEFAULT
    says = f"{chosen.workload} is what runs when no workload is named" if assumed else f"not of {chosen.workload}"
    title = f"{', '.join(named)} {are} of workload {name}{'; ' if assumed else ', '}{says}"
    way = Instead(f"robotrain submit {name} …")
    return Problem(code="workload-elsewhere", stage=Stage.USAGE, title=title, where=named[0], instead=(way,))


def misled(found: Iterable[Problem], chosen: Choice) -> bool:
    """Whether nobody named the workload, and what was typed is for another: then nothing more is said of this one."""
    codes = ("workload-elsewhere", "workload-misspelt")
    return chosen.origins[0] == DEFAULT and any(problem.code in codes for problem in found)
