"""What a platform can do beyond sending jobs: each class is a base of an engine, or of plans, that has the feature.

A platform that lacks one has its defaults (`Platform.get_engine_for`, `Platform.get_plans_for`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robotrain.model.platform import PlatformPart, make_feature_error
from robotrain.model.source import SourceError

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import JobSource

    from robotrain.model.job import Job
    from robotrain.model.pipeline import PipelineStep
    from robotrain.model.plan import Plan
    from robotrain.model.reference import Reference
    from robotrain.model.run import Status, StepStatus
    from robotrain.model.submitted_run import ListedSubmission, SubmittedRun
    from robotrain.model.terminal import TerminalCommand


class PipelinePlans(PlatformPart):
    """Plans of pipelines that the engine runs on its own: the feature `native_dag`."""

    def render_pipeline(
        self, steps: Sequence[PipelineStep], job: Job, run: str, finished: Mapping[str, Reference]
    ) -> Plan:
        """Return exactly what `submit` will send to run a pipeline, where the feature `native_dag` is supported.

        The plan's reference names the whole pipeline. With one more key `step`, `logs`, `outputs`, `download`,
        `status` and `register` are about that step alone. Raise Rejected for more than the engine takes.

        :param steps: each comes after those that it needs.
        :param job: the job that stands for the whole.
        :param finished: the references of steps that an earlier run of the pipeline finished, which `steps` read.
        """
        raise make_feature_error(self.platform, "native_dag")


class PipelineRuns(PlatformPart):
    """Runs of such pipelines."""

    def list_steps(self, reference: Reference) -> Iterable[StepStatus]:
        """Return the steps of a pipeline, in any order. Raise as `status`."""
        return ()

    def query_pipeline(self, reference: Reference) -> tuple[Status, list[StepStatus]]:
        """Return the status of a pipeline and its steps, by one request where one answers both."""
        return self.platform.engine.status(reference), list(self.list_steps(reference))

    def has_step_output(self, reference: Reference) -> bool:
        """Return whether a later pipeline can read what a step, which succeeded, handed over. Raise Rejected."""
        return True


class Uploads(PlatformPart):
    """Data and code that are uploaded before a run is sent, and are used again."""

    def prepare(self, plan: Plan) -> Iterator[str]:
        """Upload what the plan needs, submit nothing, and yield a line for each thing that is there now.

        `submit` does the same. Raise Rejected.
        """
        return iter(())

    def find_uploaded(self, plan: Plan) -> Iterable[JobSource]:
        """Return the plan's sources that the platform already has, complete and as pinned.

        They may be missing where they came from when the job is sent again.
        """
        return ()


class SourceVersions(PlatformPart):
    """Versions of sources that only the platform can tell."""

    def pin_source(self, source: JobSource, settings: Any) -> str:
        """Return the pin of a source whose kind is `pinned_by_platform`. Raise as the functions of `Pinning` do."""
        raise SourceError(f"The platform {self.platform.name} does not tell which version that is.")

    def read_tags(self, source: JobSource, settings: Any) -> Mapping[str, str]:
        """Return the tags of a registered model whose container plugin cannot read them; empty if unknown."""
        return {}


class SharedRuns(PlatformPart):
    """Runs that other machines submitted: the feature `adopt`, lists of all runs, and warnings."""

    def find_submitted(self, text: str, settings: Any) -> SubmittedRun | None:
        """Return the run that a text names as the engine does, or by its run folder, whichever machine submitted it.

        Return None for a text that is no such name here, as by default. Where the feature `adopt` is supported.
        Raise RunGone if the engine has no such run, and Rejected when it cannot be asked, or is no run of one job.

        :param settings: those of the platform as they are configured on this machine.
        """
        return None

    def list_submitted(self, settings: Any, everyone: bool) -> Iterable[ListedSubmission] | None:
        """Return the runs that the engine has, whichever machine submitted them, the newest first.

        An engine that lists by pages is asked for the next page when it is needed. Return None if the platform is not
        set up on this machine. Raise Rejected when the engine cannot be asked.

        :param settings: those of the platform as they are configured on this machine.
        :param everyone: whether runs of other users count, where the engine tells them apart.
        """
        return None

    def list_runs_beside(self, plan: Plan) -> Sequence[str]:
        """Return the runs of the plan's name that had not ended when `submit` listed them, before it sent the plan.

        Each as `find_submitted` takes it. Another machine sent them, of which the user is warned. Nothing is asked for
        it: there is none, as by default, if `submit` does not list the runs anyway, or the engine gives a name once.
        """
        return ()

    def find_other_writer(self, reference: Reference) -> str:
        """Return how somebody else may have written what the platform knows of a run: `FOLDER belongs to …`.

        Empty if nobody may. Asked of a run that another machine submitted, before something is done because of it.
        """
        return ""


class RunAccess(PlatformPart):
    """Ways to a run where it works: the feature `shell`, and its page."""

    def make_shell(self, reference: Reference, words: Sequence[str], has_terminal: bool) -> TerminalCommand:
        """Return the command that runs words where a run works, or a shell without any. Raise RunGone or Rejected.

        Called where the feature `shell` is supported, for a run that is running, or any one that `runs_here`.

        :param has_terminal: whether it gets the user's terminal, as it always does without words.
        """
        raise make_feature_error(self.platform, "shell")

    def find_page(self, reference: Reference) -> str:
        """Return the address of the run's page in a browser; empty for none. By default one of what is shown of it."""
        shown_values = self.platform.engine.describe_reference(reference).values()
        return next((text for text in shown_values if text.startswith("https://")), "")
