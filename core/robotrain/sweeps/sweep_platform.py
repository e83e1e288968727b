"""A sweep as one run of its platform: as a pipeline is, but its policy is that of its best trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robotrain.errors import Problem, Rejected, Stage
from robotrain.pipelines.driven_platform import DrivenPlatform
from robotrain.pipelines.pipeline_platform import REFERENCE_KEY
from robotrain.sweeps.results import read_results

if TYPE_CHECKING:
    from robotrain_runtime.contract.event import Registered

    from robotrain.model.run import Reference


class SweepPlatform(DrivenPlatform):
    """The platform of a sweep whose trials a driver of this machine starts."""

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Register the policy of the best trial so far. Raise Rejected."""
        results = read_results(reference[REFERENCE_KEY])
        if results is None or results.best is None:
            title = "no trial of the sweep has succeeded with a score"
            raise Rejected([Problem(code="step-output-missing", stage=Stage.SUBMIT, title=title)])
        sent = next(one for one in self.list_sent(reference) if one.name == results.best.name)
        return self._platform.register(sent.reference, name, step)
