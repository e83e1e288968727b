"""The platform `local`. Each method imports what implements it when it is called."""
# ruff: noqa: D102 (the base classes say what each method does)

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.model.platform import FollowingDecision, ListedSubmission, Platform, SubmittedRun
from robotrain.plugins.hookspecs import hook

from robotrain_local.capabilities import CAPABILITIES
from robotrain_local.settings import LocalSettings

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.health import Check
    from robotrain.model.job import Job
    from robotrain.model.plan import Payload, Plan
    from robotrain.model.preview import RunPlace
    from robotrain.model.reference import Reference
    from robotrain.model.run import Output, Status
    from robotrain.model.terminal import Forwarding, TerminalCommand
    from robotrain_runtime.contract.document import JobSource
    from robotrain_runtime.contract.event import Registered


class LocalPlatform(Platform):
    """Runs a job as a background process of this machine."""

    name = "local"
    summary = "this machine, as a background process"
    settings: type = LocalSettings
    capabilities = CAPABILITIES

    def check(self, job: Job, settings: LocalSettings) -> Iterable[Problem]:
        from robotrain_local.render import check_settings

        return check_settings(job, settings)

    def render(
        self, job: Job, settings: LocalSettings, run: str, payload: Payload, container_plugins: Mapping[str, str]
    ) -> Plan:
        from robotrain_local.render import render_plan

        return render_plan(job, settings, run, payload, container_plugins)

    def describe_run(self, job: Job, settings: LocalSettings, run: str) -> RunPlace:
        from robotrain_local.render import describe_run

        return describe_run(settings, run)

    def decide_following(self, job: Job, settings: LocalSettings) -> FollowingDecision:
        from robotrain_local.following import decide_following

        return decide_following(job, settings)

    def pin_source(self, source: JobSource, settings: LocalSettings) -> str:
        from robotrain_sources.mlflow import registry

        from robotrain_local.render import get_tracking_uri

        return registry.find_latest_version(source, get_tracking_uri(settings))

    def list_checks(self, plan: Plan | None) -> Iterable[Check]:
        from robotrain_local.preflight import list_checks

        return list_checks(plan)

    def submit(self, plan: Plan) -> Reference:
        from robotrain_local.submit import submit_plan

        return submit_plan(plan)

    def find(self, plan: Plan) -> Reference | None:
        from robotrain_local.submit import find_run

        return find_run(plan)

    def find_submitted(self, text: str, settings: LocalSettings) -> SubmittedRun | None:
        from robotrain_local.submitted_runs import find_submitted

        return find_submitted(text)

    def list_submitted(self, settings: LocalSettings, everyone: bool) -> Iterable[ListedSubmission] | None:
        from robotrain_local.submitted_runs import list_submitted

        return list_submitted(settings, everyone)

    def status(self, reference: Reference) -> Status:
        from robotrain_local.observe import query_status

        return query_status(reference)

    def logs(self, reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
        from robotrain_local.observe import read_logs

        return read_logs(reference, follow, tail)

    def events_file(self, reference: Reference) -> Path | None:
        from robotrain.run_folder.log import find_events_file

        from robotrain_local.observe import find_run_folder

        return find_events_file(find_run_folder(reference))

    def cancel(self, reference: Reference) -> None:
        from robotrain_local.observe import cancel_run

        cancel_run(reference)

    def make_shell(self, reference: Reference, words: Sequence[str], has_terminal: bool) -> TerminalCommand:
        from robotrain_local.shell import make_shell

        return make_shell(reference, words)

    def make_forwarding(self, reference: Reference, here: int, there: int) -> Forwarding:
        from robotrain.model.terminal import Forwarding

        return Forwarding(f"127.0.0.1:{there}")

    def outputs(self, reference: Reference) -> Iterable[Output]:
        from robotrain.run_folder.outputs import list_outputs

        from robotrain_local.observe import find_run_folder

        return list_outputs(find_run_folder(reference))

    def download(self, reference: Reference, output: Output, to: Path) -> list[str]:
        from robotrain.run_folder.outputs import download_output

        from robotrain_local.observe import find_run_folder

        return download_output(output, to, find_run_folder(reference))

    def register(self, reference: Reference, name: str, step: int | None) -> Registered:
        from robotrain.run_folder.ended_run import register_model

        from robotrain_local.observe import find_run_folder

        return register_model(find_run_folder(reference), name, step)

    def find_other_writer(self, reference: Reference) -> str:
        from robotrain_local.observe import find_other_writer

        return find_other_writer(reference)

    def remove_outputs(self, reference: Reference, dry_run: bool = False) -> int | None:
        from robotrain_local.observe import remove_run

        return remove_run(reference, dry_run)


@hook
def robotrain_platforms() -> Iterable[Platform]:
    """Return this platform."""
    return (LocalPlatform(),)
