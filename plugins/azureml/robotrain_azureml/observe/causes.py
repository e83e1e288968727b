"""What keeps a job from running or ended it, known by the words that Azure ML has for it. Pure.

Sentences begin small and have no full stop: they stand behind the name and the state of a run. In braces stands what
is known of the job.
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

TRY_AGAIN = "`robotrain resubmit` may succeed, and `robotrain resume` where a checkpoint was kept"
OTHER_INSTANCE_TYPE = "`robotrain resubmit --set instance_type=NAME`"
"""Of a job that was made; one that was refused is typed again."""
OUT_OF_MEMORY = "memory ran out: an --instance-type with more, a smaller --batch-size or fewer --num-workers"
_ACCOUNT_PATTERN = r"(?:https://(?=[a-z0-9]+\.(?:blob|dfs)\.)|account[ :]*')([a-z0-9]{3,24})"
_IMAGE_PATTERN = r"image[ :]+\\?[\"']?([\w./-]+[:@][\w.:@-]+)"
_MACHINE_PATTERN = r"(?:nodes?|machines?|pods?|vms?|vmss|(?:compute|spot) instances?)"
_PREEMPTED_PATTERN = r"(?:(?:was |were |been |got )?(?:preempted|evicted)|preemptions?|evictions?)"


@dataclass(frozen=True, slots=True)
class FailureCause:
    """pattern: of the words, in any case. sentence: what it is and what to do."""

    pattern: str
    sentence: str


CAUSES = (
    FailureCause(
        r"invalid instance ?type|instance ?type\b.{0,80}(?:not found|not exist|not valid|unknown)"
        r"|exceed\w* the node size",
        "the compute has no instance type{instance_type}, or no node that is large enough for it: "
        "{another_type}, one that `az ml compute show --name {compute}` lists",
    ),
    FailureCause(
        r"identity not found|no (?:user.?assigned|managed|msi)\b.{0,60}identity|no token received"
        r"|managedidentitycredential|failed to (?:acquire|get|retrieve) (?:a |an )?(?:msi |aad |access )?token",
        "the identity that it signs in with{identity} is not assigned to its compute, or is no client id: "
        "--workload-identity takes the CLIENT id (not the object id) of one that `az ml compute show --name {compute} "
        "--query identity` lists",
    ),
    FailureCause(
        r"keybasedauthenticationnotpermitted|key.?based authentication is not permitted",
        "the storage of the workspace takes no keys: `{by_identity}`, and roles for whoever reads and writes",
    ),
    FailureCause(
        r"workspace (?:msi|managed identity|identity).{0,40}(?:fail|cannot|not)|datastore has no credentials",
        "the datastore has no credentials, and the workspace's own identity may not read it: `{workspace_reader}`, or "
        "give the datastore credentials (`az ml datastore update`)",
    ),
    FailureCause(
        r"writestreams\.?\w*\.(?:auth|permission|forbidden)|writestreams.{0,200}(?:permissiondenied|forbidden|403)"
        r"|(?:upload|write|writing)\b.{0,120}authorizationpermissionmismatch",
        "its identity may not write its output: `{writer}`",
    ),
    FailureCause(
        r"permission to alter this storage account",
        "whoever sent it may not write to the storage of the workspace, a role of the workspace itself does not count: "
        "`{sender_writer}`",
    ),
    FailureCause(
        r"streamaccess\.?\w*\.(?:auth|permission|forbidden)|streamaccess.{0,200}(?:permissiondenied|forbidden|403)"
        r"|authorizationpermissionmismatch|authorizationfailure",
        "its identity may not read its inputs: `{reader}`; or the storage lets no such network in",
    ),
    FailureCause(
        r"streamaccess\.?\w*\.notfound"
        r"|(?:data ?(?:asset|set)|model|input)\b.{0,120}(?:not found|not exist|not be found)"
        r"|(?:data|models)/[^ ]+/versions/[^ ]+.{0,60}not (?:found|exist)",
        "an input that it names is not there: look at its data assets and models (`az ml data show`, `az ml model "
        "show`), and at the blobs behind them",
    ),
    FailureCause(
        r"errimagepull|imagepullbackoff|errimagenever|failed to pull|pull access denied"
        r"|manifest (?:unknown|for\b.{0,200}not)"
        r"|invalidimagename|image\b.{0,80}(?:not found|could not be pulled|does not exist)",
        "its image{image} could not be pulled: look that --image is right, and that the compute may read its registry",
    ),
    FailureCause(r"oomkilled|out ?of ?memory|exit(?:ed with)?(?: status)? code:? ?137\b", OUT_OF_MEMORY),
    FailureCause(
        r"no space left|disk ?full|diskpressure|ephemeral[- ]storage|disk (?:usage|space|quota)",
        "its disk ran full: an --instance-type with more, or less data at a time (--cache-gib)",
    ),
    FailureCause(
        r"nodelost|\b(?:node|pod|vm|job)[ _]?preempt|\bnode[ \w'-]{0,60}(?:lost|removed|deleted|not ready|shut ?down)"
        rf"|\b{_MACHINE_PATTERN}\b[ \w'\"/-]{{0,60}}\b{_PREEMPTED_PATTERN}\b|\b{_PREEMPTED_PATTERN}\b[ \w'\"/-]{{0,40}}\b{_MACHINE_PATTERN}\b"
        rf"|\b(?:the|this|your) (?:job|run) {_PREEMPTED_PATTERN}\b|\b(?:spot|low.?priority) {_MACHINE_PATTERN}\b",
        f"its machine was taken away, as a spot one may be: {TRY_AGAIN}, or an --instance-type that stays",
    ),
    FailureCause(
        r"quota|corelimit|maxnodes|out of capacity|allocationfailed|skunotavailable",
        "the quota or the capacity for its machines does not suffice: another --compute, or ask for more "
        "(`az ml compute list-usage --location REGION`)",
    ),
    FailureCause(
        r"insufficient (?:nvidia|cpu|memory|pods|amd)|failedscheduling|unschedulable|nodes are available",
        "no node of the cluster has room for it: another --instance-type, or wait until one is free",
    ),
    FailureCause(
        r"serviceerror|internalservererror|internal server error|service ?unavailable|systemerror",
        f"Azure ML itself failed, not the job: {TRY_AGAIN}",
    ),
)
"""The first that fits counts."""


def find_cause(message: str, job: AzureMLJob, workspace: Workspace) -> str:
    """The sentence for Azure ML's words; empty where nobody foresaw them."""
    found = (one for one in CAUSES if re.search(one.pattern, message, re.IGNORECASE | re.DOTALL))
    return next((one.sentence.format_map(_make_facts(message, job, workspace)) for one in found), "")


def _make_facts(message: str, job: AzureMLJob, workspace: Workspace) -> Mapping[str, str]:
    named = _match_group(_ACCOUNT_PATTERN, message)
    account, output = make_account_id(workspace, named), make_account_id(workspace, named or job.storage_account)
    holder = job.identity or UNKNOWN_OBJECT_ID
    return {
        "compute": job.compute or "COMPUTE",
        "instance_type": f" {job.instance_type}" if job.instance_type else "",
        "identity": f" ({job.identity})" if job.identity else "",
        "another_type": OTHER_INSTANCE_TYPE if job.job_status else "--instance-type NAME",
        "image": f" {name}" if (name := _match_group(_IMAGE_PATTERN, message)) else "",
        "reader": make_role_command(holder, BLOB_READER_ROLE, account),
        "writer": make_role_command(holder, BLOB_CONTRIBUTOR_ROLE, output),
        "sender_writer": make_role_command(job.sender or UNKNOWN_OBJECT_ID, BLOB_CONTRIBUTOR_ROLE, account),
        "workspace_reader": make_role_command("PRINCIPAL-ID-OF-THE-WORKSPACE", BLOB_READER_ROLE, account),
        "by_identity": make_identity_auth_command(workspace),
    }


def _match_group(pattern: str, message: str) -> str:
    found = re.search(pattern, message, re.IGNORECASE)
    return found[1] if found else ""
