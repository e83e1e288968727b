"""The platform of a sweep, whose trials a driver of this machine starts."""

from robotrain_runtime.contract.event import Registered

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.reference import Reference
from robotrain.pipelines.driven_engine import DrivenEngine
from robotrain.pipelines.pipeline_engine import REFERENCE_KEY
from robotrain.sweeps.results import read_results

make_problem = Messages(__file__)


class SweepEngine(DrivenEngine):
    """The platform of a sweep."""

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Register the policy of the best trial so far. Raise Rejected."""
        run = reference[REFERENCE_KEY]
        results = read_results(run)
        if results is None or results.best is None:
            raise Rejected([make_problem("step-output-missing")])
        best = results.best.name
        if not results.best.has_policy:
            raise Rejected([make_problem("checkpoint-missing", run=run, trial=best)])
        best_step = next(sent_step for sent_step in self.list_sent(reference) if sent_step.name == best)
        return self.step_platform.engine.register(best_step.reference, name, step)
