"""The publication of one run: its destinations, the publisher, and the registration at its end."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.checkpoints import atomic_copy, targets
from robotrain_runtime.checkpoints.recovery import EarlierAttempts
from robotrain_runtime.contract import document, plugin_loader
from robotrain_runtime.contract.checkpoint import OUTPUT_TAG
from robotrain_runtime.contract.container_plugin import ArtifactTarget, PublishingSpec, WorkloadContainerPlugin
from robotrain_runtime.contract.document import Folders, JobDocument
from robotrain_runtime.contract.event import Note, Published, Registered
from robotrain_runtime.contract.failure import (
    EXIT_PREFLIGHT,
    CancelCheck,
    Cancelled,
    JobFailed,
    PermanentError,
    describe_error,
)
from robotrain_runtime.contract.plugin_loader import make_container_context
from robotrain_runtime.contract.target import TargetContainerPlugin, TargetWriter
from robotrain_runtime.environments import environment
from robotrain_runtime.process.event_relay import EventRelay
from robotrain_runtime.process.stop import StopSignal
from robotrain_runtime.publishing import description, handover, registration
from robotrain_runtime.publishing.description import ReportedFacts
from robotrain_runtime.publishing.publisher import Publisher
from robotrain_runtime.publishing.sealing import COPIED_KINDS, Destination, PublishedCopy, SealedArtifact
from robotrain_runtime.tracking.tracker import ARTIFACT_REQUEST, RESULTS_REQUEST, Tracker


def get_publishing_spec(
    plugin: WorkloadContainerPlugin, document: JobDocument, data_folders: Folders
) -> PublishingSpec:
    """Return what the workload asks to publish. Raise JobFailed if that cannot be done."""
    spec = plugin.publishing(document, data_folders)
    for target in list_publish_targets(plugin, document, data_folders, spec):
        if not Path(target.to).is_absolute() and not targets.find_target_plugin(document, target.to):
            outputs = plugin_loader.describe_outputs(document)
            reason = "it is neither an absolute path nor an address that this job can write to"
            raise JobFailed(f"{outputs} cannot be published to {target.to}: {reason}", EXIT_PREFLIGHT)
    if spec.register and not document.placement.tracking_uri:
        reason = "the run has no tracking, so there is no registry"
        raise JobFailed(f"the model {spec.register} cannot be registered: {reason}", EXIT_PREFLIGHT)
    return spec


def list_publish_targets(
    plugin: WorkloadContainerPlugin, document: JobDocument, data_folders: Folders, spec: PublishingSpec
) -> tuple[ArtifactTarget, ...]:
    """Return the places that each complete checkpoint is copied to."""
    spec_targets = (ArtifactTarget(to=spec.to),) if spec.to else ()
    return (*spec_targets, *plugin.targets(document, data_folders))


class FolderDestination(Destination):
    """A folder that checkpoints are copied to, and results under the name of the run.

    The one that the platform keeps (`is_kept`) gets results directly.

    :param name: its address for people; its path by default.
    :param is_referenced: a tag of the tracking run names each checkpoint there, and no artifact holds it.
    """

    def __init__(
        self, target: ArtifactTarget, run: str, name: str = "", *, is_kept: bool = False, is_referenced: bool = False
    ) -> None:
        self._to = Path(os.path.normpath(target.to))
        self._keep_last = target.keep_last
        self._run = run
        self._cleared = False
        self._is_kept, self._is_referenced = is_kept, is_referenced
        self.name = name or str(self._to)

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> PublishedCopy:
        """Copy an artifact."""
        if self._is_kept and sealed.kind == "results":
            return PublishedCopy(self.name, atomic_copy.copy_sealed_into(sealed.folder, self._to, is_cancelled))
        if not self._cleared:
            atomic_copy.remove_leftovers(self._to, self._run)
            self._cleared = True
        is_new = atomic_copy.copy_checkpoint(sealed.folder, sealed.manifest, self._to, is_cancelled)
        address = f"{self.name}/{sealed.folder.name}"
        tags = {OUTPUT_TAG.format(sealed.folder.name): address} if self._is_referenced else {}
        return PublishedCopy(address, is_new, tags=tags)

    def trim(self, is_cancelled: CancelCheck) -> tuple[str, ...]:
        """Remove the oldest checkpoints of the run."""
        if self._keep_last is None:
            return ()
        removed_folders = atomic_copy.trim_checkpoints(self._to, self._run, self._keep_last)
        return tuple(f"{self.name}/{folder.name}" for folder in removed_folders)


class AddressDestination(Destination):
    """An address that a container plugin writes to. `open` returns the writer when it is needed, or raises OSError."""

    def __init__(
        self, plugin: TargetContainerPlugin, target: ArtifactTarget, run: str, open: Callable[[], TargetWriter]
    ) -> None:
        self.name = plugin.normalize(target.to)
        self._plugin = plugin
        self._keep_last = target.keep_last
        self._run = run
        self._open = open
        self._writer: TargetWriter | None = None

    def contains_address(self, address: str) -> bool:
        """Return whether the address of a published checkpoint is in this destination."""
        return bool(self._plugin.get_name(self.name, address))

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> PublishedCopy:
        """Let the plugin write an artifact."""
        try:
            is_new = self._get_writer().write(sealed.folder, sealed.manifest, is_cancelled)
        except (OSError, Cancelled):
            self.close()  # the next try starts with a new writer
            raise
        return PublishedCopy(self._plugin.locate(self.name, sealed.folder.name), is_new)

    def trim(self, is_cancelled: CancelCheck) -> tuple[str, ...]:
        """Remove the oldest checkpoints of the run."""
        if self._keep_last is None:
            return ()
        removed_names = self._get_writer().trim(self._run, self._keep_last, is_cancelled)
        return tuple(self._plugin.locate(self.name, name) for name in removed_names)

    def describe_remedy(self, run: str) -> str:
        """Return the command that sends what is missing."""
        return f"; `robotrain publish {run} {self.name}` sends what is missing"

    def close(self) -> None:
        """Close the writer."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _get_writer(self) -> TargetWriter:
        if self._writer is None:
            self._writer = self._open()
        return self._writer


class TrackingDestination(Destination):
    """The artifacts of the tracking run: models of checkpoints, the evaluated policy, results."""

    name = "tracking"
    is_required = False
    accepted_kinds = COPIED_KINDS | {"policy"}

    def __init__(self, tracker: Tracker, places: Mapping[str, str], has_checkpoints: bool = True) -> None:
        self._tracker, self._places = tracker, places
        if not has_checkpoints:
            self.accepted_kinds = self.accepted_kinds - {"checkpoint"}

    def contains_address(self, address: str) -> bool:
        """Return whether the address is an artifact's."""
        return address.startswith("runs:/")

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> PublishedCopy:
        """Let the tracking process upload an artifact."""
        is_results = sealed.kind == "results"
        request = {
            "run_id": self._tracker.wait_for_run(is_cancelled),
            "folder": str(sealed.source or sealed.folder),
            "model": sealed.manifest.model,
            "digest": sealed.manifest.digest,
            **({"files": list(sealed.manifest.files)} if is_results else {"what": sealed.kind}),
            **({"places": dict(self._places)} if sealed.kind == "checkpoint" else {}),
        }
        reply = self._tracker.send_request(RESULTS_REQUEST if is_results else ARTIFACT_REQUEST, request, is_cancelled)
        return PublishedCopy(str(reply["to"]), bool(reply["new"]), str(reply.get("file", "")))


def open_target(
    plugin: TargetContainerPlugin,
    address: str,
    document: JobDocument,
    spec: PublishingSpec,
    facts: ReportedFacts,
    log_line: Callable[[str], None],
) -> TargetWriter:
    """Open a writer in the plugin's environment, which is built if necessary. Raise OSError."""
    try:
        python = environment.build_python(plugin.ENVIRONMENT, Path(document.placement.cache), log_line, StopSignal())
    except JobFailed as failed:
        raise OSError(failed.reason) from failed
    context = dataclasses.replace(
        make_container_context(document, python, log_line),
        describe_checkpoint=lambda step: description.make_description(document, spec, facts, step),
        path_files=spec.path_files,
    )
    return plugin.open(address, context)


class Publication:
    """The publication of a run: publishes each checkpoint and result that the relay passes on, from creation on."""

    def __init__(
        self,
        document: JobDocument,
        spec: PublishingSpec,
        relay: EventRelay,
        earlier: EarlierAttempts,
        tracker: Tracker | None,
    ) -> None:
        self._document, self._spec, self._relay = document, spec, relay
        self._earlier, self._tracker = earlier, tracker
        self._facts = ReportedFacts(description.list_metric_names(spec))
        destinations: list[Destination] = []
        folder = targets.get_platform_folder(document)
        # what the next attempt finds is stored at once; files with a place among the artifacts are promised there
        is_stored = folder is not None and document.placement.left == document.placement.kept
        is_referenced = is_stored and tracker is not None and not spec.artifact_folders
        if tracker is not None:
            destinations.append(TrackingDestination(tracker, spec.artifact_folders, has_checkpoints=not is_referenced))
        publish_targets = list_publish_targets(plugin_loader.load_workload_plugin(document), document, {}, spec)
        destinations += [self._make_destination(target) for target in publish_targets]
        if folder:
            target = ArtifactTarget(to=str(folder))
            name = targets.get_platform_folder_name(document)
            destinations.append(
                FolderDestination(target, document.run, name, is_kept=True, is_referenced=is_referenced)
            )
        is_needed = self._needed = bool(publish_targets or folder or spec.register or document.placement.handover)
        self._publisher = Publisher(
            document, destinations, relay.emit, earlier=earlier, needed=is_needed, tracking=self._wait_for_tracking_run
        )
        relay.add_sink(self._facts.add_record)
        relay.add_sink(self._publisher.add_record)

    def has_pending(self, succeeded: bool) -> bool:
        """Whether there is anything to do after the work: failed work needs no checkpoint."""
        return self._publisher.has_artifacts or (self._needed and succeeded)

    def finish(self, stop: StopSignal, python: Path, succeeded: bool) -> list[str]:
        """Wait for pending copies, and register the result of successful work. Return why requested parts failed."""
        errors = self._publisher.drain(stop)
        if succeeded and self._spec.last_artifact_folders and self._publisher.parents and not stop.number:
            self._copy_last_files(stop)
        if succeeded and self._spec.register and not stop.number:
            try:
                self._relay.emit(self._register(stop, python))
            except JobFailed as failed:
                self._relay.emit(Note(level="error", text=failed.reason))
                errors.append(failed.reason)
        if succeeded and self._document.placement.handover and not stop.number:
            errors += self._hand_over(lambda: stop.count > 0)
        return errors

    def _copy_last_files(self, stop: StopSignal) -> None:
        """Copy files of the last checkpoint to their own place among the artifacts; warn if that fails."""
        if self._tracker is None:
            return
        destination = TrackingDestination(self._tracker, self._spec.last_artifact_folders)
        try:
            candidate = self._choose_candidate()
            with stop.interruptible():
                copy = destination.publish(candidate, lambda: False)
            self._relay.emit(Published(step=candidate.manifest.step, to=copy.address, file=copy.file))
        except (JobFailed, OSError, PermanentError) as error:
            reason = error.reason if isinstance(error, JobFailed) else describe_error(error)
            self._relay.emit(
                Note(level="warning", text=f"the last checkpoint is not copied to tracking again: {reason}")
            )

    def _hand_over(self, is_cancelled: CancelCheck) -> list[str]:
        """Hand the policy and the results over to later steps. Return why that failed."""
        evaluated = self._publisher.evaluated
        try:
            candidate = self._choose_candidate() if evaluated is None else None
            chosen_checkpoints = self._select_handed_over()
            folder = handover.hand_over(self._document, candidate, evaluated, is_cancelled, chosen_checkpoints)
        except (JobFailed, OSError, PermanentError, document.UnsetVariable) as error:
            reason = error.reason if isinstance(error, JobFailed) else describe_error(error)
            return [f"nothing was handed over to later steps: {reason}"]
        except Cancelled:
            return []
        self._emit_note(f"the steps that need this one read {folder}")
        return []

    def _select_handed_over(self) -> list[SealedArtifact]:
        """Return the checkpoints for later steps; warn about missing ones. Raise UnsetVariable.

        On another machine than that of an earlier attempt, only the folder that the platform keeps has them all.
        """
        if not self._spec.hands_over:
            return []
        platform_folder = targets.get_platform_folder(self._document)
        parents = [*sorted(self._publisher.parents), *([platform_folder] if platform_folder else [])]
        chosen_checkpoints = handover.select_checkpoints(parents, self._document.run, self._spec.hands_over)
        if missing_steps := handover.list_missing_steps(self._spec, chosen_checkpoints):
            steps = f"step{'s' * (len(missing_steps) > 1)} {', '.join(map(str, missing_steps))}"
            warning = f"later steps do not get the checkpoints of {steps}: they are not on this machine"
            self._relay.emit(Note(level="warning", text=warning))
        return chosen_checkpoints

    def _register(self, stop: StopSignal, python: Path) -> Registered:
        try:
            candidate = self._choose_candidate()
        except JobFailed as failed:
            raise JobFailed(f"the model {self._spec.register} was not registered: {failed.reason}") from failed
        return registration.register_model(
            self._document,
            self._spec,
            candidate,
            run_id=self._get_tracking_run(),
            python=python,
            stop=stop,
            log_line=self._emit_note,
            tracker=self._tracker,
        )

    def _choose_candidate(self) -> SealedArtifact:
        """Return the checkpoint or policy to register. Raise JobFailed if there is none."""
        publisher = self._publisher
        if not publisher.is_complete:
            raise JobFailed("an artifact of the run is incomplete")
        if publisher.evaluated is None:
            return registration.choose_checkpoint(self._document, publisher.parents, None, self._emit_note)
        if publisher.policy is None:
            raise JobFailed(registration.NO_POLICY, EXIT_PREFLIGHT)
        return publisher.policy

    def _wait_for_tracking_run(self, is_cancelled: CancelCheck) -> str:
        """Return the tracking run that a checkpoint names, for an attempt on another machine; empty without one."""
        if self._tracker is not None and document.read_submission_id(self._document):
            with suppress(OSError, PermanentError):
                self._tracker.wait_for_run(is_cancelled)
        return self._get_tracking_run()

    def _get_tracking_run(self) -> str:
        earlier_run = self._earlier.get_tracking_run(self._document.placement.tracking_uri)
        current = self._tracker.run_id if self._tracker else ""
        return current or document.read_platform_tracking_run(self._document) or earlier_run

    def _make_destination(self, target: ArtifactTarget) -> Destination:
        run, plugin = self._document.run, targets.find_target_plugin(self._document, target.to)
        if plugin is None:
            return FolderDestination(target, run)

        log_line = self._relay.write_line

        def open_writer() -> TargetWriter:
            return open_target(plugin, target.to, self._document, self._spec, self._facts, log_line)

        destination = AddressDestination(plugin, target, run, open_writer)
        destination.is_required = plugin.IS_REQUIRED or self._document.placement.volatile
        return destination

    def _emit_note(self, text: str) -> None:
        self._relay.emit(Note(level="info", text=text))
