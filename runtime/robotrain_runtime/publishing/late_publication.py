"""Publication of a run's checkpoints apart from the run: on another machine, or once it has ended."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from robotrain_runtime.checkpoints import targets
from robotrain_runtime.checkpoints.targets import InspectedTarget
from robotrain_runtime.contract import checkpoint, plugin_loader
from robotrain_runtime.contract.container_plugin import ArtifactTarget, PublishingSpec
from robotrain_runtime.contract.document import JobDocument, JobSource
from robotrain_runtime.contract.event import Evaluated, Metrics, make_record
from robotrain_runtime.contract.failure import JobFailed, PermanentError, describe_error
from robotrain_runtime.contract.problem import Problem
from robotrain_runtime.contract.target import TargetWriter
from robotrain_runtime.environments import environment
from robotrain_runtime.process.stop import StopSignal
from robotrain_runtime.publishing import description, publication
from robotrain_runtime.publishing.description import ReportedFacts
from robotrain_runtime.publishing.publication import AddressDestination
from robotrain_runtime.publishing.sealing import PublishedCopy, SealedArtifact

LogFunction = Callable[[str], None]
Points = Iterable[tuple[float, float]]


class LatePublication:
    """Writes sealed checkpoints to one address. Methods raise JobFailed with a sentence.

    :param document: names the plugins of the workload and of the address; its placement has this machine's cache.
    """

    def __init__(self, document: JobDocument, address: str, log_line: LogFunction) -> None:
        plugin = targets.find_target_plugin(document, address)
        if plugin is None:
            raise JobFailed(f"nothing writes to {address}")
        self._document, self._log_line, self._plugin = document, log_line, plugin
        self._spec = _load_spec(document)
        self._facts = ReportedFacts(self.metric_names)
        self._target = ArtifactTarget(to=plugin.normalize(address))
        self._destination = AddressDestination(plugin, self._target, document.run, self._open_writer)

    @property
    def metric_names(self) -> list[str]:
        """The metrics that say how good a checkpoint is."""
        return description.list_metric_names(self._spec)

    def add_facts(self, metrics: Mapping[str, Points], evaluated: Iterable[Evaluated]) -> None:
        """Add what the run reported: (step, value) by metric, and its evaluations."""
        for name, points in metrics.items():
            for step, metric_value in points:
                self._facts.add_record(make_record(Metrics(values={name: metric_value}, step=int(step))))
        for evaluation in evaluated:
            self._facts.add_record(make_record(evaluation))

    def inspect(self) -> tuple[list[Problem], list[str]]:
        """Return why one may not write there, and warnings. The plugin's environment is built if necessary."""
        cache = Path(self._document.placement.cache)
        try:
            python = environment.build_python(self._plugin.ENVIRONMENT, cache, self._log_line, StopSignal())
        except OSError as error:
            raise JobFailed(describe_error(error)) from None
        context = plugin_loader.make_container_context(self._document, python, self._log_line)
        inspected_target = InspectedTarget(
            target=self._target,
            kind="",
            plugin=self._plugin,
            to=self._target.to,
            inspection=self._plugin.inspect(self._target.to, context),
        )
        problems = [*targets.find_target_problems(self._document, [inspected_target])]
        return problems, [*targets.list_target_warnings(self._document, [inspected_target])]

    def publish(self, folder: Path) -> PublishedCopy:
        """Write a sealed checkpoint, in a folder that is named by its step."""
        manifest = checkpoint.read_manifest(folder)
        problem = checkpoint.validate_checkpoint(folder)
        if manifest is not None and not problem and manifest.run != self._document.run:
            problem = f"it is a checkpoint of the run {manifest.run}"
        if manifest is None or problem:
            raise JobFailed(problem)
        self._spec = _load_spec(self._document, folder)
        try:
            return self._destination.publish(SealedArtifact(folder=folder, manifest=manifest), lambda: False)
        except (OSError, PermanentError) as error:
            raise JobFailed(describe_error(error)) from None

    def close(self) -> None:
        """End everything that is still running."""
        self._destination.close()

    def _open_writer(self) -> TargetWriter:
        return publication.open_target(
            self._plugin, self._target.to, self._document, self._spec, self._facts, self._log_line
        )


def _load_spec(document: JobDocument, folder: Path | None = None) -> PublishingSpec:
    """Return what the workload says about its checkpoints; nothing if it can only be told where the run was.

    :param folder: a checkpoint, which stands for the data of the run: a training that goes on from it makes the same
        kind of model.
    """
    checkpoint_source = {JobSource(role="resume", kind="local_path", uri=str(folder)): folder} if folder else {}
    for folders in (checkpoint_source, {}):
        try:
            return plugin_loader.load_workload_plugin(document).publishing(document, folders)
        except Exception:  # of a plugin, which may read its data
            continue
    return PublishingSpec()
