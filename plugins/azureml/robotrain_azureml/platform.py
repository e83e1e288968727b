"""The Azure ML platform, as the entry point `platform.azureml` names it. What acts is imported when it is asked for."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from robotrain.hookspecs import hook

from robotrain_azureml.capabilities import CAPABILITIES, DECLINED
from robotrain_azureml.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from robotrain.health import HealthCheck
    from robotrain.job import Job
    from robotrain.payload import Payload
    from robotrain.plan import Plan
    from robotrain.platforms import Default, Platform
    from robotrain.problem import Problem
    from robotrain.run import Output, Reference, Status
    from robotrain_runtime.document import Source
    from robotrain_runtime.event import Registered


class AzureML:
    """Runs a job as a command job of a workspace, on a compute that is attached to it."""

    name = "azureml"
    summary = "Azure Machine Learning, as a command job of a workspace"
    settings: type = Settings
    capabilities = CAPABILITIES
    declined = DECLINED
    ahead = ("source-missing", "azureml-compute-missing")

    def derived(self, job: Job, settings: Settings) -> Mapping[str, Default]:
        """What is made of the settings that nobody said: the compute, its machine, the environment's version, …"""
        from robotrain_azureml import derived

        return dict(derived.derived(job, settings))

    def halves(self, job: Job, settings: Settings) -> Mapping[str, str]:
        """What finds the workspace's tracking address, and its models."""
        from robotrain_azure import workspace

        return workspace.HALVES

    def asked(self, job: Job, settings: Settings) -> Mapping[str, Default]:
        """What only the workspace tells: of what kind the compute is, and as whom its jobs sign in. Raises Rejected."""
        from robotrain_azureml.look import compute_asked

        return compute_asked.asked(settings)

    def check(self, job: Job, settings: Settings) -> Iterable[Problem]:
        """Azure ML's own rules: names, times, images, machines, and what its SDK lets through silently."""
        from robotrain_azureml.rules import check

        return check.check(job, settings)

    def render(self, job: Job, settings: Settings, run: str, payload: Payload, halves: Mapping[str, str]) -> Plan:
        """The command job, its code, and how they are handed over; pure."""
        from robotrain_azureml.spec import render

        return render.render(job, settings, run, payload, halves)

    def preflight(self, plan: Plan) -> Iterable[Problem]:
        """The sign-in, the workspace, the compute, the assets, the storage, and the data as this machine may see it."""
        from robotrain_azureml.look import preflight

        return preflight.preflight(plan)

    def prepare(self, plan: Plan) -> Iterator[str]:
        """Register the environment and upload what is not there yet; each is told in a line. Raises Rejected."""
        from robotrain_azureml.hand_over import prepare

        return prepare.prepare(plan)

    def holds(self, plan: Plan) -> Iterable[Source]:
        """The folders that lie in the datastore as they were pinned, whole."""
        from robotrain.problem import Stage

        from robotrain_azureml.hand_over import handed, upload_there

        return upload_there.holds(plan, handed.of(plan, Stage.SUBMIT))

    def submit(self, plan: Plan) -> Reference:
        """Prepare it, and make the job. Raises Rejected."""
        from robotrain_azureml.hand_over import submit

        return submit.submit(plan)

    def find(self, plan: Plan) -> Reference | None:
        """The job that an earlier submit of this very plan became. Raises Rejected."""
        from robotrain_azureml.hand_over import find

        return find.find(plan)

    def sent(self, plan: Plan, reference: Reference) -> bytes:
        """The job as it was made: with the name it got, and its code where that was uploaded to."""
        from robotrain_azureml.hand_over import sent

        return sent.sent(plan, reference)

    def shown(self, reference: Reference) -> Mapping[str, str]:
        """The job's name in the workspace, and its page in the studio."""
        from robotrain_azureml.service import job_address

        return job_address.shown(reference)

    def status(self, reference: Reference) -> Status:
        """How the job is, and why. Raises RunGone, Rejected."""
        from robotrain_azureml.watch import status

        return status.status(reference)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        """What its process printed. Raises RunGone, Rejected."""
        from robotrain_azureml.watch import logs

        return logs.lines(reference, follow, tail)

    def cancel(self, reference: Reference) -> None:
        """Ask for its end, and see that it was taken. Raises RunGone, Rejected."""
        from robotrain_azureml.watch import cancel

        cancel.cancel(reference)

    def outputs(self, reference: Reference) -> Iterable[Output]:
        """The checkpoints of its declared output, and those it published. Raises RunGone, Rejected."""
        from robotrain_azureml.watch import outputs

        return outputs.outputs(reference)

    def bring(self, reference: Reference, output: Output, to: Path) -> None:
        """Copy one output, whole. Raises Rejected."""
        from robotrain_azureml.watch import outputs_bring

        outputs_bring.bring(reference, output, to)

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        """Make a checkpoint of the job a version of a model in the workspace. Raises Rejected."""
        from robotrain_azureml.watch import register

        return register.register(reference, name, step)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """This platform."""
    return (AzureML(),)


@hook
def robotrain_health() -> Iterable[HealthCheck]:
    """What `robotrain doctor` looks at."""
    from robotrain_azureml import health

    return health.checks()
