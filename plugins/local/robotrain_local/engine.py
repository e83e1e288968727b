"""What acts for the platform `local`: each method of its engine is a function of the module that it belongs to."""
# ruff: noqa: D102 (the base class says what each method does)

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.model.platform_features import RunAccess, SourceVersions
from robotrain.model.reference import Reference
from robotrain.model.submitted_run import ListedSubmission, SubmittedRun
from robotrain.model.terminal import TerminalCommand
from robotrain.run_folder.facts import FolderFacts
from robotrain.run_folder.parts import JudgedRun
from robotrain.run_folder.status import RunFolderEngine
from robotrain_runtime.contract.document import JobSource

from robotrain_local import observe, spec
from robotrain_local.observe import SeenProcesses
from robotrain_local.settings import LocalSettings

if TYPE_CHECKING:
    from robotrain.model.health import Check
    from robotrain.model.plan import Plan


class LocalEngine(RunFolderEngine, SourceVersions, RunAccess):
    """Runs a job as a background process of this machine."""

    fact_files = observe.LOCAL_FACT_FILES
    query_seconds = 0.0

    @property
    def spec_file(self) -> str:
        return spec.SPEC_FILE

    def query_jobs(self, references: Sequence[Reference], facts: Sequence[FolderFacts]) -> dict[str, SeenProcesses]:
        return {str(run_facts.folder): observe.find_processes(run_facts) for run_facts in facts}

    def judge_run(self, reference: Reference, facts: FolderFacts, jobs: dict[str, SeenProcesses]) -> JudgedRun:
        return observe.judge_run(facts, jobs[str(facts.folder)])

    def require_folder(self, reference: Reference) -> Path:
        return observe.find_run_folder(reference)

    def read_run_name(self, reference: Reference) -> str:
        return spec.read_spec(self.require_folder(reference)).run

    def cancel(self, reference: Reference) -> None:
        from robotrain_local.cancel import cancel_run  # costs start-up of `status`

        cancel_run(reference)

    def list_checks(self, plan: Plan | None) -> Iterable[Check]:
        from robotrain_local import preflight  # costs start-up of `status`

        return preflight.list_checks(plan)

    def pin_source(self, source: JobSource, settings: LocalSettings) -> str:
        from robotrain_sources.mlflow import registry  # costs start-up of `status`

        from robotrain_local.render import get_tracking_uri

        return registry.find_latest_version(source, get_tracking_uri(settings))

    def submit(self, plan: Plan) -> Reference:
        from robotrain_local.submit import submit_plan  # costs start-up of `status`

        return submit_plan(plan)

    def find(self, plan: Plan) -> Reference | None:
        from robotrain_local.submit import find_run  # costs start-up of `status`

        return find_run(plan)

    def find_submitted(self, text: str, settings: LocalSettings) -> SubmittedRun | None:
        from robotrain_local import submitted_runs  # costs start-up of `status`

        return submitted_runs.find_submitted(text)

    def list_submitted(self, settings: LocalSettings, everyone: bool) -> Iterable[ListedSubmission]:
        from robotrain_local import submitted_runs  # costs start-up of `status`

        return submitted_runs.list_submitted(settings, everyone)

    def make_shell(self, reference: Reference, words: Sequence[str], has_terminal: bool) -> TerminalCommand:
        from robotrain_local import shell  # costs start-up of `status`

        return shell.make_shell(reference, words, self.find_other_writer(reference))
