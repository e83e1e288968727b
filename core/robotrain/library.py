"""robotrain as a library: the same way of a job as the command line's, with a `Run` at its end.

Values are given by the names of the options, with `_` for `-`: parameters of the workload, settings of the platform and
sources (a list where several are taken), in the order written.
"""

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from robotrain import pin as pinning
from robotrain import send as sending
from robotrain import settings_asked, store
from robotrain.call import Call, prepare
from robotrain.handle import Run
from robotrain.loading import choice
from robotrain.plan import Plan
from robotrain.problem import Problem, Rejected, Stage, raise_if_any

JobFile = str | Path | None


def submit(
    job: JobFile = None,
    *,
    platform: str = "",
    workload: str = "",
    profile: str = "",
    trainer_args: Iterable[str] | None = None,
    new: bool = False,
    pin: bool = True,
    **values: Any,
) -> Run:
    """Check a job, render its plan and send it; the same call after a crash finds the run that was sent.

    job: a job file; values go over what it says. new, pin: as `--new` and `--no-pin`. Raises Rejected with every
    problem that was found.
    """
    plugins = choice.plugins()
    prepared = prepare(Call(job, platform, workload, profile, trainer_args, values), plugins)
    remarks: list[Problem] = list(prepared.remarks)
    record = sending.send(prepared, remarks.extend, lambda run: None, new=new, pinning=pin)
    remarks += plugins.run_changed(record)
    return Run(record.run, plugins, remarks, just_sent=True)


def render(
    job: JobFile = None,
    *,
    platform: str = "",
    workload: str = "",
    profile: str = "",
    trainer_args: Iterable[str] | None = None,
    attempt: int = 1,
    pin: bool = False,
    **values: Any,
) -> Plan:
    """Exactly what `submit` would send as that attempt; nothing is sent, and a network asked only with `pin`.

    Raises Rejected with every problem that was found.
    """
    if attempt < 1:
        title = "attempt takes a whole number greater than 0"
        raise Rejected([Problem(code="value-invalid", stage=Stage.USAGE, title=title)])
    prepared = prepare(Call(job, platform, workload, profile, trainer_args, values), choice.plugins())
    if pin:
        settled = prepared.with_job(pinning.settled(prepared.job, prepared.kinds))
        prepared, silent = settings_asked.asked(settled)
        raise_if_any(silent)
    return prepared.plan(attempt)


def explain(
    job: JobFile = None,
    *,
    platform: str = "",
    workload: str = "",
    profile: str = "",
    trainer_args: Iterable[str] | None = None,
    **values: Any,
) -> list[Mapping[str, Any]]:
    """Each value of a job as a mapping: name, value, origin, overrode. Raises Rejected with every problem."""
    return list(prepare(Call(job, platform, workload, profile, trainer_args, values), choice.plugins()).values)


def runs(limit: int | None = None) -> list[Run]:
    """The runs that were submitted from here, newest first; at most `limit`."""
    plugins = choice.plugins()
    return [Run(name, plugins) for name in itertools.islice(store.newest(), limit)]
