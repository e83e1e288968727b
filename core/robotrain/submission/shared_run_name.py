"""Which run a name means that several runs share, for a command that changes the run."""

from itertools import islice

from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.plugins.manager import Plugins
from robotrain.store import name_index, records
from robotrain.store.latest_run import UNFINISHED, RunNeed, iterate_runs_with
from robotrain.submission.unfinished_runs import UnfinishedRun, list_unfinished

make_problem = Messages(__file__)

MAX_CANDIDATES = 8
"""How many runs that were not seen to end are looked at, the newest first, where none was named."""


def find_run_to_change(
    text: str, plugins: Plugins, *, unfinished_first: bool = False, run: str = "", need: RunNeed | None = None
) -> str:
    """Return the run that a text means, for a command that changes it. Raise Rejected if that is not clear.

    A name that several unfinished runs share means none of them.

    :param unfinished_first: take the unfinished run of a name if there is one, instead of the newest.
    :param run: what the text meant when it was looked up before; it means that still.
    :param need: what `latest` has to have.
    """
    run = run or name_index.find_run(text, need)
    if text == "" and need is UNFINISHED:
        return _find_only_unfinished(plugins) or run
    runs = name_index.list_runs_of_same_name(text, run)
    if len(runs) < 2:
        return run
    run_records = [record for name in runs if (record := records.find_readable_record(name))]
    unfinished_runs = list_unfinished(run_records, plugins)
    if len(unfinished_runs) > 1:
        ways = [Suggestion(unfinished.record.run, _get_state(unfinished)) for unfinished in unfinished_runs]
        raise Rejected([make_problem("run-name-shared", *ways, given=text, count=len(unfinished_runs))])
    return unfinished_runs[0].record.run if unfinished_runs and unfinished_first else run


def _find_only_unfinished(plugins: Plugins) -> str:
    """Return the run that is meant where none was named: the only one that has not ended; empty without any.

    Raise Rejected if there are several.
    """
    candidates = islice(iterate_runs_with(UNFINISHED), MAX_CANDIDATES)
    run_records = [record for run in candidates if (record := records.find_readable_record(run))]
    unfinished_runs = list_unfinished(run_records, plugins)
    if len(unfinished_runs) < 2:
        return unfinished_runs[0].record.run if unfinished_runs else ""
    named_runs = {unfinished.record.run: unfinished for unfinished in unfinished_runs}
    names = {run: name_index.find_unique_name(run) for run in named_runs}
    ways = [
        Suggestion(f"robotrain cancel {names[run]}", _describe_run(unfinished, names[run]))
        for run, unfinished in named_runs.items()
    ]
    is_all = len(run_records) < MAX_CANDIDATES
    remark = "all of them" if is_all else "all of these; `robotrain runs --state running,pending` lists older ones"
    ways.append(Suggestion(f"robotrain cancel {' '.join(names.values())}", remark))
    raise Rejected([make_problem("run-unnamed", *ways)])


def _describe_run(unfinished: UnfinishedRun, shown_name: str) -> str:
    """Return the state of a run, and whichever of its name and identifier is not shown."""
    other_names = [name for name in (unfinished.record.name, unfinished.record.run) if name not in ("", shown_name)]
    return ", ".join([*other_names, _get_state(unfinished)])


def _get_state(unfinished: UnfinishedRun) -> str:
    return unfinished.status.state if unfinished.status else "unknown"
