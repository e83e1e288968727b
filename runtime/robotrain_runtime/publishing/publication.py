"""The publication of one run: targets, publisher, and the registration at its end."""

import functools
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.checkpoints import targets
from robotrain_runtime.checkpoints.recovery import EarlierAttempts
from robotrain_runtime.contract import document, plugin_loader
from robotrain_runtime.contract.container_plugin import PublishingSpec, WorkloadContainerPlugin
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.event import Note, Registered
from robotrain_runtime.contract.failure import EXIT_PREFLIGHT, JobFailed
from robotrain_runtime.contract.plugin_loader import make_container_context
from robotrain_runtime.contract.target import ArtifactTarget, TargetContainerPlugin, TargetWriter
from robotrain_runtime.environments import environment
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.process.stop import StopSignal
from robotrain_runtime.publishing import registration
from robotrain_runtime.publishing.destinations import (
    AddressDestination,
    Destination,
    FolderDestination,
    PlatformFolderDestination,
    TrackingDestination,
)
from robotrain_runtime.publishing.publisher import Publisher
from robotrain_runtime.publishing.registration import RegistrationCandidate


def get_publishing_spec(
    plugin: WorkloadContainerPlugin, document: JobDocument, data: Mapping[JobSource, Path]
) -> PublishingSpec:
    """What the half of the workload says. Raises Failed when it cannot come true, however well the work goes."""
    say = getattr(plugin, "publishing", None)
    found: PublishingSpec = say(document, data) if say else PublishingSpec()
    for target in list_publish_targets(plugin, document, data, found):
        if not Path(target.to).is_absolute() and not targets.find_target_plugin(document, target.to):
            why = "it is no absolute path, and no address that this job can write to"
            raise JobFailed(
                f"{plugin_loader.describe_outputs(document)} cannot be published to {target.to}: {why}", EXIT_PREFLIGHT
            )
    if found.register and not document.placement.tracking_uri:
        raise JobFailed(
            f"no model {found.register} can be registered: the run has no tracking, so no registry", EXIT_PREFLIGHT
        )
    return found


def list_publish_targets(
    plugin: WorkloadContainerPlugin, document: JobDocument, data: Mapping[JobSource, Path], spec: PublishingSpec
) -> tuple[ArtifactTarget, ...]:
    """Where each complete checkpoint is copied to."""
    plain = (ArtifactTarget(to=spec.to),) if spec.to else ()
    return (*plain, *targets.list_targets(plugin, document, data))


class Publication:
    """Made before the work starts; from then on each checkpoint that the relay sees is published, and each result."""

    def __init__(
        self, document: JobDocument, spec: PublishingSpec, relay: EventRelay, earlier: EarlierAttempts
    ) -> None:
        self._document = document
        self._spec = spec
        self._relay = relay
        self._earlier = earlier
        to: list[Destination] = [TrackingDestination(relay.tracker)] if relay.tracker is not None else []
        places = list_publish_targets(plugin_loader.load_workload_plugin(document), document, {}, spec)
        to += [self._make_destination(target) for target in places]
        if kept_in := targets.get_platform_folder(document):
            to.append(
                PlatformFolderDestination(
                    ArtifactTarget(to=str(kept_in)), document.run, targets.get_platform_folder_name(document)
                )
            )
        needed = self._needed = bool(places or kept_in or spec.register)
        self._publisher = relay.publisher = Publisher(
            document, to, relay.emit, earlier=earlier, needed=needed, tracking=self._get_tracking_run
        )

    def has_pending(self, succeeded: bool) -> bool:
        """Whether there is anything to do after the work. Failed work without a checkpoint owes nobody one."""
        return self._publisher.has_artifacts or (self._needed and succeeded)

    def finish(self, stop: StopSignal, python: Path, succeeded: bool) -> list[str]:
        """Wait for what is left, and register what succeeded work left: why what was asked for failed, in sentences."""
        wrong = self._publisher.drain(stop)
        if succeeded and self._spec.register and not stop.number:
            try:
                self._relay.emit(self._register(stop, python))
            except JobFailed as failed:
                self._relay.emit(Note(level="error", text=failed.reason))
                wrong.append(failed.reason)
        return wrong

    def _register(self, stop: StopSignal, python: Path) -> Registered:
        try:
            chosen = self._choose_candidate()
        except JobFailed as failed:
            raise JobFailed(f"the model {self._spec.register} was not registered: {failed.reason}") from failed
        return registration.register_model(
            self._document,
            self._spec,
            chosen,
            run_id=self._get_tracking_run(),
            python=python,
            stop=stop,
            log_line=self._emit_note,
            tracker=self._relay.tracker,
        )

    def _choose_candidate(self) -> RegistrationCandidate:
        """What is registered. Raises Failed."""
        publisher = self._publisher
        if not publisher.is_complete:
            raise JobFailed("not everything that the run left is complete")
        if publisher.evaluated is None:
            return registration.choose_checkpoint(self._document, publisher.parents, None, self._emit_note)
        event, manifest = publisher.evaluated
        if manifest is None:
            raise registration.make_missing_policy_error()
        return registration.make_policy_candidate(event, manifest)

    def _get_tracking_run(self) -> str:
        """Of the tracking run; empty while there is none."""
        tracker, earlier = self._relay.tracker, self._earlier.get_tracking_run(self._document.placement.tracking_uri)
        return (tracker.run_id if tracker else "") or document.read_platform_tracking_run(self._document) or earlier

    def _make_destination(self, target: ArtifactTarget) -> Destination:
        run, half = self._document.run, targets.find_target_plugin(self._document, target.to)
        if half is None:
            return FolderDestination(target, run)
        return AddressDestination(
            half.normal(target.to), target, run, functools.partial(self._open_writer, half, target.to)
        )

    def _open_writer(self, half: TargetContainerPlugin, address: str) -> TargetWriter:
        """What writes there, in its environment: it is built when preflight has not. Raises OSError."""
        placement, wanted, say = self._document.placement, half.ENVIRONMENT, self._relay.log.write_line
        try:
            built = environment.build_environment(wanted.lock, wanted.python, Path(placement.cache), say, StopSignal())
        except JobFailed as failed:
            raise OSError(failed.reason) from failed
        python = environment.get_python(built)
        return half.open(address, make_container_context(self._document, python, say))

    def _emit_note(self, text: str) -> None:
        self._relay.emit(Note(level="info", text=text))
