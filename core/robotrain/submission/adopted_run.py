"""What is done with a run that another machine submitted, perhaps a colleague's."""

import shlex

from robotrain.errors import Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.model.run import RunRecord

make_problem = Messages(__file__)


def require_own_run(record: RunRecord, platform: Platform, act: str) -> None:
    """Raise Rejected if somebody else may have written what a platform knows of an adopted run.

    What is read of such a run is shown and copied. Nothing is stopped, started or removed because of it: it may name
    processes and jobs that are not its own.

    :param act: what is asked for, as a participle: `cancelled`.
    """
    why = platform.find_other_writer(record.reference) if record.is_adopted else ""
    if why:
        folder = shlex.quote(record.reference.get("folder", "FOLDER"))
        ways = [Suggestion(f"chmod -R go-w {folder}", "after a look for what others left")] * ("written" in why)
        raise Rejected([make_problem("run-of-others", *ways, run=record.run, act=act, why=why)])
