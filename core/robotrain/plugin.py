"""The public names for plugins on the machine that submits."""

from robotrain_runtime.contract.claim import RunOwner
from robotrain_runtime.contract.document import JobDocument, JobSource, Mount, Placement
from robotrain_runtime.contract.event import Checkpoint, Registered
from robotrain_runtime.contract.parameter import Param, TerraformOutput, load_pairs, parse_pairs

from robotrain.cluster.engine import ClusterEngine
from robotrain.cluster.secrets import check_secrets
from robotrain.cluster.spec import make_python_search
from robotrain.errors import NotSubmitted, Problem, Rejected, Stage, Suggestion, Unanswered
from robotrain.external_command import ProcessResult
from robotrain.messages import Messages
from robotrain.model.capabilities import Capabilities
from robotrain.model.data_report import DataReading, DataReport, RemoteFiles
from robotrain.model.health import Check, HealthResult, report_failure, report_ok, report_warning
from robotrain.model.job import Job
from robotrain.model.locked_program import LockedProgram
from robotrain.model.pipeline import PipelineStep
from robotrain.model.plan import Payload, Plan, make_job_document
from robotrain.model.platform import Platform, PlatformDefault, PlatformEngine, PlatformPart, PlatformPlans
from robotrain.model.platform_features import (
    PipelinePlans,
    PipelineRuns,
    RunAccess,
    SharedRuns,
    SourceVersions,
    Uploads,
)
from robotrain.model.preview import JobFacts, RunPlace, WorkPreview
from robotrain.model.reference import Reference
from robotrain.model.run import Output, RunGone, RunRecord, RunState, Status, StepStatus
from robotrain.model.source import (
    Pinning,
    RoleFlag,
    Source,
    SourceError,
    SourceKind,
    SourceNotFound,
    SourceUnreachable,
    TargetForm,
)
from robotrain.model.submitted_run import ListedSubmission, SubmittedRun
from robotrain.model.support import ANY, YES, Support, no, not_yet
from robotrain.model.terminal import TerminalCommand
from robotrain.model.workload import (
    ConfigValue,
    FoundInput,
    JobTemplate,
    OptionFinder,
    ProgramLocker,
    ProgramNeeds,
    ProgramOptions,
    Role,
    UserCommand,
    Workload,
)
from robotrain.model.workload_profile import Container, Metric, OutputProfile, Resources, WorkloadProfile
from robotrain.plugins.hookspecs import hook
from robotrain.redaction import holds_secret, redact
from robotrain.refusals import Refusal, find_refusal, load_refusals
from robotrain.run_folder.facts import FactFile, FolderFacts
from robotrain.run_folder.parts import JudgedRun, RunPart
from robotrain.run_folder.scheduler import SchedulerEngine
from robotrain.run_folder.scheduler_commands import SchedulerCommands
from robotrain.run_folder.scheduler_plan import SchedulerJob, SchedulerSpec
from robotrain.run_folder.scheduler_settings import (
    SchedulerSettings,
    format_memory,
    format_time,
    parse_memory,
    parse_time,
)
from robotrain.run_folder.status import RunFolderEngine
from robotrain.run_folder.submit import FoundJob
from robotrain.run_folder.submit_script import SubmitReport

__all__ = [
    "ANY",
    "YES",
    "Capabilities",
    "Check",
    "Checkpoint",
    "ClusterEngine",
    "ConfigValue",
    "Container",
    "DataReading",
    "DataReport",
    "FactFile",
    "FolderFacts",
    "FoundInput",
    "FoundJob",
    "HealthResult",
    "Job",
    "JobDocument",
    "JobFacts",
    "JobSource",
    "JobTemplate",
    "JudgedRun",
    "ListedSubmission",
    "LockedProgram",
    "Messages",
    "Metric",
    "Mount",
    "NotSubmitted",
    "OptionFinder",
    "Output",
    "OutputProfile",
    "Param",
    "Payload",
    "Pinning",
    "PipelinePlans",
    "PipelineRuns",
    "PipelineStep",
    "Placement",
    "Plan",
    "Platform",
    "PlatformDefault",
    "PlatformEngine",
    "PlatformPart",
    "PlatformPlans",
    "Problem",
    "ProcessResult",
    "ProgramLocker",
    "ProgramNeeds",
    "ProgramOptions",
    "Reference",
    "Refusal",
    "Registered",
    "Rejected",
    "RemoteFiles",
    "Resources",
    "Role",
    "RoleFlag",
    "RunAccess",
    "RunFolderEngine",
    "RunGone",
    "RunOwner",
    "RunPart",
    "RunPlace",
    "RunRecord",
    "RunState",
    "SchedulerCommands",
    "SchedulerEngine",
    "SchedulerJob",
    "SchedulerSettings",
    "SchedulerSpec",
    "SharedRuns",
    "Source",
    "SourceError",
    "SourceKind",
    "SourceNotFound",
    "SourceUnreachable",
    "SourceVersions",
    "Stage",
    "Status",
    "StepStatus",
    "SubmitReport",
    "SubmittedRun",
    "Suggestion",
    "Support",
    "TargetForm",
    "TerminalCommand",
    "TerraformOutput",
    "Unanswered",
    "Uploads",
    "UserCommand",
    "WorkPreview",
    "Workload",
    "WorkloadProfile",
    "check_secrets",
    "find_refusal",
    "format_memory",
    "format_time",
    "holds_secret",
    "hook",
    "load_pairs",
    "load_refusals",
    "make_job_document",
    "make_python_search",
    "no",
    "not_yet",
    "parse_memory",
    "parse_pairs",
    "parse_time",
    "redact",
    "report_failure",
    "report_ok",
    "report_warning",
]
