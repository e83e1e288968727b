"""What is done with a run that another machine submitted, perhaps a colleague's."""

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.platform_features import SharedRuns
from robotrain.model.run import RunRecord
from robotrain.store import ownership

make_problem = Messages(__file__)


def require_own_run(record: RunRecord, platform: Platform, act: str) -> None:
    """Raise Rejected if somebody else may have written what a platform knows of an adopted run.

    What is read of such a run is shown and copied. Nothing is stopped, started or removed because of it: it may name
    processes and jobs that are not its own.

    :param act: what is asked for, as a participle: `cancelled`.
    """
    reason = platform.get_engine_for(SharedRuns).find_other_writer(record.reference) if record.is_adopted else ""
    if reason:
        ways = ownership.suggest_closing(record.reference.get("folder", "FOLDER"), reason)
        raise Rejected([make_problem("run-of-others", *ways, run=record.run, act=act, why=reason)])
