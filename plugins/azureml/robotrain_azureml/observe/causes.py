"""Causes why a job waits or failed, recognized in Azure ML's messages. Pure.

Sentences begin with a small letter and have no full stop: they follow the name and the state of a run. Braces are
replaced by facts about the job.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from robotrain_azure.credential import UNKNOWN_OBJECT_ID
from robotrain_azure.errors import make_role_command
from robotrain_azure.roles import BLOB_CONTRIBUTOR_ROLE, BLOB_READER_ROLE
from robotrain_azure.workspace import Workspace

from robotrain_azureml.errors import make_account_id, make_identity_auth_command
from robotrain_azureml.observe.job_state import AzureMLJob

TRY_AGAIN = "try `robotrain resubmit`, or `robotrain resume` if a checkpoint was kept"
OTHER_INSTANCE_TYPE = "`robotrain resubmit --set instance_type=NAME`"
"""For a job that exists; for a rejected one, the option itself is suggested."""
OUT_OF_MEMORY = "out of memory: use an --instance-type with more, a smaller --batch-size or fewer --num-workers"
_ACCOUNT_PATTERN = r"(?:https://(?=[a-z0-9]+\.(?:blob|dfs)\.)|account[ :]*')([a-z0-9]{3,24})"
_IMAGE_PATTERN = r"image[ :]+\\?[\"']?([\w./-]+[:@][\w.:@-]+)"
_MACHINE_PATTERN = r"(?:nodes?|machines?|pods?|vms?|vmss|(?:compute|spot) instances?)"
_PREEMPTED_PATTERN = r"(?:(?:was |were |been |got )?(?:preempted|evicted)|preemptions?|evictions?)"


@dataclass(frozen=True, slots=True)
class FailureCause:
    """A cause: the pattern of the message in any case, and the sentence with what to do."""

    pattern: str
    sentence: str


CAUSES = (
    FailureCause(
        r"invalid instance ?type|instance ?type\b.{0,80}(?:not found|not exist|not valid|unknown)"
        r"|exceed\w* the node size",
        "the compute has no instance type{instance_type}, or no node that is large enough for it: "
        "use {another_type} with one that `az ml compute show --name {compute}` lists",
    ),
    FailureCause(
        r"identity not found|no (?:user.?assigned|managed|msi)\b.{0,60}identity|no token received"
        r"|managedidentitycredential|failed to (?:acquire|get|retrieve) (?:a |an )?(?:msi |aad |access )?token",
        "its identity{identity} is not assigned to its compute, or is not a client id: "
        "--workload-identity takes the CLIENT id (not the object id) of one that `az ml compute show --name {compute} "
        "--query identity` lists",
    ),
    FailureCause(
        r"keybasedauthenticationnotpermitted|key.?based authentication is not permitted",
        "the storage of the workspace does not accept keys: run `{by_identity}`, and assign roles to all users",
    ),
    FailureCause(
        r"workspace (?:msi|managed identity|identity).{0,40}(?:fail|cannot|not)|datastore has no credentials",
        "the datastore has no credentials, and the workspace's own identity may not read it: run `{workspace_reader}`, "
        "or give the datastore credentials (`az ml datastore update`)",
    ),
    FailureCause(
        r"writestreams\.?\w*\.(?:auth|permission|forbidden)|writestreams.{0,200}(?:permissiondenied|forbidden|403)"
        r"|(?:upload|write|writing)\b.{0,120}authorizationpermissionmismatch",
        "its identity may not write its output: run `{writer}`",
    ),
    FailureCause(
        r"permission to alter this storage account",
        "the user who submitted it may not write to the storage of the workspace: run `{sender_writer}` (a role on the "
        "workspace itself is not enough)",
    ),
    FailureCause(
        r"streamaccess\.?\w*\.(?:auth|permission|forbidden)|streamaccess.{0,200}(?:permissiondenied|forbidden|403)"
        r"|authorizationpermissionmismatch|authorizationfailure",
        "its identity may not read its inputs: run `{reader}`; or the storage's firewall blocks its network",
    ),
    FailureCause(
        r"streamaccess\.?\w*\.notfound"
        r"|(?:data ?(?:asset|set)|model|input)\b.{0,120}(?:not found|not exist|not be found)"
        r"|(?:data|models)/[^ ]+/versions/[^ ]+.{0,60}not (?:found|exist)",
        "one of its inputs does not exist: check its data assets and models (`az ml data show`, `az ml model show`) "
        "and their blobs",
    ),
    FailureCause(
        r"errimagepull|imagepullbackoff|errimagenever|failed to pull|pull access denied"
        r"|manifest (?:unknown|for\b.{0,200}not)"
        r"|invalidimagename|image\b.{0,80}(?:not found|could not be pulled|does not exist)",
        "cannot pull its image{image}: check --image, and that the compute may read its registry",
    ),
    FailureCause(r"oomkilled|out ?of ?memory|exit(?:ed with)?(?: status)? code:? ?137\b", OUT_OF_MEMORY),
    FailureCause(
        r"no space left|disk ?full|diskpressure|ephemeral[- ]storage|disk (?:usage|space|quota)",
        "its disk is full: use an --instance-type with more, or limit the cache (--cache-gib)",
    ),
    FailureCause(
        r"nodelost|\b(?:node|pod|vm|job)[ _]?preempt|\bnode[ \w'-]{0,60}(?:lost|removed|deleted|not ready|shut ?down)"
        rf"|\b{_MACHINE_PATTERN}\b[ \w'\"/-]{{0,60}}\b{_PREEMPTED_PATTERN}\b"
        rf"|\b{_PREEMPTED_PATTERN}\b[ \w'\"/-]{{0,40}}\b{_MACHINE_PATTERN}\b"
        rf"|\b(?:the|this|your) (?:job|run) {_PREEMPTED_PATTERN}\b|\b(?:spot|low.?priority) {_MACHINE_PATTERN}\b",
        f"its machine was preempted, as spot machines may be: {TRY_AGAIN}, or use an --instance-type that is not spot",
    ),
    FailureCause(
        r"quota|corelimit|maxnodes|out of capacity|allocationfailed|skunotavailable",
        "the quota or capacity for its machines is too small: use another --compute, or request more "
        "(`az ml compute list-usage --location REGION`)",
    ),
    FailureCause(
        r"insufficient (?:nvidia|cpu|memory|pods|amd)|failedscheduling|unschedulable|nodes are available",
        "no node of the cluster has room for it: use another --instance-type, or wait until one is free",
    ),
    FailureCause(
        r"serviceerror|internalservererror|internal server error|service ?unavailable|systemerror",
        f"Azure ML itself failed, not the job: {TRY_AGAIN}",
    ),
)
"""The first that matches counts."""


def find_cause(message: str, job: AzureMLJob, workspace: Workspace) -> str:
    """Return the sentence for a message of Azure ML's; empty if none matches."""
    matching = (cause for cause in CAUSES if re.search(cause.pattern, message, re.IGNORECASE | re.DOTALL))
    return next((cause.sentence.format_map(_make_facts(message, job, workspace)) for cause in matching), "")


def _make_facts(message: str, job: AzureMLJob, workspace: Workspace) -> Mapping[str, str]:
    name = _match_group(_ACCOUNT_PATTERN, message)
    account, output = make_account_id(workspace, name), make_account_id(workspace, name or job.storage_account)
    holder = job.identity or UNKNOWN_OBJECT_ID
    return {
        "compute": job.compute or "COMPUTE",
        "instance_type": f" {job.instance_type}" if job.instance_type else "",
        "identity": f" ({job.identity})" if job.identity else "",
        "another_type": OTHER_INSTANCE_TYPE if job.job_status else "--instance-type NAME",
        "image": f" {image}" if (image := _match_group(_IMAGE_PATTERN, message)) else "",
        "reader": make_role_command(holder, BLOB_READER_ROLE, account),
        "writer": make_role_command(holder, BLOB_CONTRIBUTOR_ROLE, output),
        "sender_writer": make_role_command(job.sender or UNKNOWN_OBJECT_ID, BLOB_CONTRIBUTOR_ROLE, account),
        "workspace_reader": make_role_command("PRINCIPAL-ID-OF-THE-WORKSPACE", BLOB_READER_ROLE, account),
        "by_identity": make_identity_auth_command(workspace),
    }


def _match_group(pattern: str, message: str) -> str:
    match = re.search(pattern, message, re.IGNORECASE)
    return match[1] if match else ""
