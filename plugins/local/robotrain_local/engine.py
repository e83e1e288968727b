"""What acts for the platform `local`: each method of its engine is a function of the module that it belongs to."""
# ruff: noqa: D102 (the base class says what each method does)

from collections.abc import Iterable, Sequence
from pathlib import Path

from robotrain.model.health import Check
from robotrain.model.plan import Plan
from robotrain.model.platform import PlatformEngine
from robotrain.model.reference import Reference
from robotrain.model.run import Output
from robotrain.model.submitted_run import ListedSubmission, SubmittedRun
from robotrain.model.terminal import Forwarding, TerminalCommand
from robotrain.run_folder.log import find_events_file
from robotrain.run_folder.outputs import download_output, list_outputs
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Registered

from robotrain_local import observe
from robotrain_local.observe import find_run_folder
from robotrain_local.settings import LocalSettings


class LocalEngine(PlatformEngine):
    """Runs a job as a background process of this machine."""

    status = staticmethod(observe.query_status)
    logs = staticmethod(observe.read_logs)
    find_other_writer = staticmethod(observe.find_other_writer)
    remove_outputs = staticmethod(observe.remove_run)

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

    def events_file(self, reference: Reference) -> Path | None:
        return find_events_file(find_run_folder(reference))

    def make_shell(self, reference: Reference, words: Sequence[str], has_terminal: bool) -> TerminalCommand:
        from robotrain_local import shell  # costs start-up of `status`

        return shell.make_shell(reference, words)

    def make_forwarding(self, reference: Reference, here: int, there: int) -> Forwarding:
        return Forwarding(f"127.0.0.1:{there}")

    def outputs(self, reference: Reference) -> Iterable[Output]:
        return list_outputs(find_run_folder(reference))

    def download(self, reference: Reference, output: Output, to: Path) -> list[str]:
        return download_output(output, to, find_run_folder(reference))

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        from robotrain.run_folder.ended_run import register_model  # costs start-up of `status`

        return register_model(find_run_folder(reference), name, step)
