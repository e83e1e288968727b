"""The names that plugins may import: pinned here, since removing one breaks packages that nobody sees."""

import dataclasses
import importlib
import inspect
import re
import sys

import pytest

EVENTS_OF_THE_RUNTIME = {
    "Delivered",
    "Discarded",
    "Evaluated",
    "Outcome",
    "Published",
    "StageEvent",
    "Track",
    "Tracking",
    "Withdrawn",
}
"""`emit_event` takes every event; these are sent by the runtime alone."""
PUBLIC_NAMES = {
    "robotrain.plugin": """
    ANY Capabilities Check Checkpoint ClusterEngine ConfigValue Container DataReading DataReport
    FactFile FolderFacts FoundInput FoundJob HealthResult Job JobDocument
    JobFacts JobSource JobTemplate JudgedRun ListedSubmission LockedProgram Messages Metric Mount NotSubmitted
    OptionFinder Output OutputProfile Param Payload Pinning PipelineStep Placement Plan Platform PlatformDefault
    PipelinePlans PipelineRuns PlatformEngine PlatformPart PlatformPlans
    Problem ProcessResult ProgramLocker ProgramNeeds ProgramOptions
    Reference Refusal Registered Rejected
    RemoteFiles Resources Role RoleFlag RunAccess RunFolderEngine RunGone RunOwner RunPart RunPlace RunRecord
    RunState
    SchedulerCommands SchedulerJob SchedulerEngine SchedulerSettings SchedulerSpec SharedRuns
    Source SourceError SourceKind
    SourceNotFound SourceUnreachable SourceVersions Stage Status StepStatus SubmitReport SubmittedRun Suggestion Support
    TargetForm TerminalCommand TerraformOutput Unanswered Uploads UserCommand WorkPreview Workload WorkloadProfile YES
    check_secrets find_refusal format_memory format_time holds_secret hook load_pairs load_refusals
    make_job_document make_python_search no not_yet parse_memory parse_pairs parse_time redact report_failure
    report_ok report_warning
    """,
    "robotrain.testing": "PlatformKit Served SourceKit WorkloadKit World interrupt_submits",
    "robotrain_runtime.plugin": """
    ArtifactTarget BatchFetch BatchFetcher Cancelled Checkpoint CheckpointManifest CheckpointMark CheckpointOwner
    ContainerContext DataPreparation Download Problem ProblemError GpuRequirement JobDocument JobFailed
    JobSource Metrics ModelDescription ModelRegistry Note Param PermanentError PublishingSpec PythonEnvironment
    SecretStorePlugin SourceContainerPlugin Suggestion SurveyedSource TargetContainerPlugin TargetInspection
    TargetWriter TrackingContainerPlugin TrackingSpec Verdict WorkCommand WorkloadContainerPlugin
    emit_event emit_verdict load_pairs make_data_problem suggest_leaving_out
    """,
}


@pytest.mark.parametrize("module", PUBLIC_NAMES)
def test_the_public_names_are_these_and_each_can_be_imported(module):
    imported = importlib.import_module(module)
    assert sorted(imported.__all__) == sorted(PUBLIC_NAMES[module].split())
    assert all(hasattr(imported, name) for name in imported.__all__)


def test_what_a_public_name_takes_or_returns_is_public_too():
    public = {name for names in PUBLIC_NAMES.values() for name in names.split()}
    modules = [importlib.import_module(module) for module in ("robotrain.plugin", "robotrain_runtime.plugin")]
    things = {name: getattr(module, name) for module in modules for name in module.__all__}
    classes = {
        name
        for module in [module for name, module in sys.modules.items() if name.startswith("robotrain")]
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__.startswith("robotrain")
    }
    used = {word for thing in things.values() for text in list_annotations(thing) for word in re.findall(r"\w+", text)}
    assert (used & classes) - public - EVENTS_OF_THE_RUNTIME == set()


def list_annotations(thing) -> list[str]:
    """The annotations of a function, or of a class with its fields and public methods."""
    annotations = list(vars(thing).get("__annotations__", {}).values()) if hasattr(thing, "__dict__") else []
    if inspect.isclass(thing):
        methods = [method for name, method in inspect.getmembers(thing, inspect.isfunction) if not name.startswith("_")]
        annotations += [annotation for method in methods for annotation in method.__annotations__.values()]
    return [annotation.__name__ if isinstance(annotation, type) else str(annotation) for annotation in annotations]


@pytest.mark.parametrize("module", ["robotrain.plugin", "robotrain_runtime.plugin"])
def test_a_public_dataclass_shows_its_arguments(module):
    imported = importlib.import_module(module)
    shown = {name: getattr(imported, name) for name in imported.__all__}
    for name, thing in shown.items():
        if hasattr(thing, "__dataclass_fields__"):
            fields = {field.name for field in dataclasses.fields(thing)}
            assert set(inspect.signature(thing).parameters) == fields, name
