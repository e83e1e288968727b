"""What keeps a job from running or ended it, known by the words that Azure ML has for it. Pure.

Sentences begin small and have no full stop: they stand behind the name and the state of a run. In braces stands what
is known of the job.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from robotrain_azure.caller import UNKNOWN
from robotrain_azure.refusal import role_line
from robotrain_azure.roles import CONTRIBUTOR, READER
from robotrain_azure.workspace import Workspace

from robotrain_azureml.service.refusals_storage import account_id, by_identity
from robotrain_azureml.watch.states import Job

AGAIN = "`robotrain resubmit` may succeed, and `robotrain resume` where a checkpoint was kept"
ANOTHER_TYPE = "`robotrain resubmit --set instance_type=NAME`"
"""Of a job that was made; one that was refused is typed again."""
MEMORY = "memory ran out: an --instance-type with more, a smaller --batch-size or fewer --num-workers"
_ACCOUNT = r"(?:https://(?=[a-z0-9]+\.(?:blob|dfs)\.)|account[ :]*')([a-z0-9]{3,24})"
_IMAGE = r"image[ :]+\\?[\"']?([\w./-]+[:@][\w.:@-]+)"
_MACHINE = r"(?:nodes?|machines?|pods?|vms?|vmss|(?:compute|spot) instances?)"
_TAKEN = r"(?:(?:was |were |been |got )?(?:preempted|evicted)|preemptions?|evictions?)"


@dataclass(frozen=True, slots=True)
class Cause:
    """pattern: of the words, in any case. sentence: what it is and what to do."""

    pattern: str
    sentence: str


CAUSES = (
    Cause(
        r"invalid instance ?type|instance ?type\b.{0,80}(?:not found|not exist|not valid|unknown)"
        r"|exceed\w* the node size",
        "the compute has no instance type{instance_type}, or no node that is large enough for it: "
        "{another_type}, one that `az ml compute show --name {compute}` lists",
    ),
    Cause(
        r"identity not found|no (?:user.?assigned|managed|msi)\b.{0,60}identity|no token received"
        r"|managedidentitycredential|failed to (?:acquire|get|retrieve) (?:a |an )?(?:msi |aad |access )?token",
        "the identity that it signs in with{identity} is not assigned to its compute, or is no client id: "
        "--workload-identity takes the CLIENT id (not the object id) of one that `az ml compute show --name {compute} "
        "--query identity` lists",
    ),
    Cause(
        r"keybasedauthenticationnotpermitted|key.?based authentication is not permitted",
        "the storage of the workspace takes no keys: `{by_identity}`, and roles for whoever reads and writes",
    ),
    Cause(
        r"workspace (?:msi|managed identity|identity).{0,40}(?:fail|cannot|not)|datastore has no credentials",
        "the datastore has no credentials, and the workspace's own identity may not read it: `{workspace_reader}`, or "
        "give the datastore credentials (`az ml datastore update`)",
    ),
    Cause(
        r"writestreams\.?\w*\.(?:auth|permission|forbidden)|writestreams.{0,200}(?:permissiondenied|forbidden|403)"
        r"|(?:upload|write|writing)\b.{0,120}authorizationpermissionmismatch",
        "its identity may not write its output: `{writer}`",
    ),
    Cause(
        r"permission to alter this storage account",
        "whoever sent it may not write to the storage of the workspace, a role of the workspace itself does not count: "
        "`{sender_writer}`",
    ),
    Cause(
        r"streamaccess\.?\w*\.(?:auth|permission|forbidden)|streamaccess.{0,200}(?:permissiondenied|forbidden|403)"
        r"|authorizationpermissionmismatch|authorizationfailure",
        "its identity may not read its inputs: `{reader}`; or the storage lets no such network in",
    ),
    Cause(
        r"streamaccess\.?\w*\.notfound"
        r"|(?:data ?(?:asset|set)|model|input)\b.{0,120}(?:not found|not exist|not be found)"
        r"|(?:data|models)/[^ ]+/versions/[^ ]+.{0,60}not (?:found|exist)",
        "an input that it names is not there: look at its data assets and models (`az ml data show`, `az ml model "
        "show`), and at the blobs behind them",
    ),
    Cause(
        r"errimagepull|imagepullbackoff|errimagenever|failed to pull|pull access denied"
        r"|manifest (?:unknown|for\b.{0,200}not)"
        r"|invalidimagename|image\b.{0,80}(?:not found|could not be pulled|does not exist)",
        "its image{image} could not be pulled: look that --image is right, and that the compute may read its registry",
    ),
    Cause(r"oomkilled|out ?of ?memory|exit(?:ed with)?(?: status)? code:? ?137\b", MEMORY),
    Cause(
        r"no space left|disk ?full|diskpressure|ephemeral[- ]storage|disk (?:usage|space|quota)",
        "its disk ran full: an --instance-type with more, or less data at a time (--cache-gib)",
    ),
    Cause(
        r"nodelost|\b(?:node|pod|vm|job)[ _]?preempt|\bnode[ \w'-]{0,60}(?:lost|removed|deleted|not ready|shut ?down)"
        rf"|\b{_MACHINE}\b[ \w'\"/-]{{0,60}}\b{_TAKEN}\b|\b{_TAKEN}\b[ \w'\"/-]{{0,40}}\b{_MACHINE}\b"
        rf"|\b(?:the|this|your) (?:job|run) {_TAKEN}\b|\b(?:spot|low.?priority) {_MACHINE}\b",
        f"its machine was taken away, as a spot one may be: {AGAIN}, or an --instance-type that stays",
    ),
    Cause(
        r"quota|corelimit|maxnodes|out of capacity|allocationfailed|skunotavailable",
        "the quota or the capacity for its machines does not suffice: another --compute, or ask for more "
        "(`az ml compute list-usage --location REGION`)",
    ),
    Cause(
        r"insufficient (?:nvidia|cpu|memory|pods|amd)|failedscheduling|unschedulable|nodes are available",
        "no node of the cluster has room for it: another --instance-type, or wait until one is free",
    ),
    Cause(
        r"serviceerror|internalservererror|internal server error|service ?unavailable|systemerror",
        f"Azure ML itself failed, not the job: {AGAIN}",
    ),
)
"""The first that fits counts."""


def of(words: str, told: Job, at: Workspace) -> str:
    """The sentence for Azure ML's words; empty where nobody foresaw them."""
    found = (one for one in CAUSES if re.search(one.pattern, words, re.IGNORECASE | re.DOTALL))
    return next((one.sentence.format_map(_known(words, told, at)) for one in found), "")


def _known(words: str, told: Job, at: Workspace) -> Mapping[str, str]:
    named = _found(_ACCOUNT, words)
    account, output = account_id(at, named), account_id(at, named or told.storage)
    holder = told.identity or UNKNOWN
    return {
        "compute": told.compute or "COMPUTE",
        "instance_type": f" {told.instance_type}" if told.instance_type else "",
        "identity": f" ({told.identity})" if told.identity else "",
        "another_type": ANOTHER_TYPE if told.word else "--instance-type NAME",
        "image": f" {name}" if (name := _found(_IMAGE, words)) else "",
        "reader": role_line(holder, READER, account),
        "writer": role_line(holder, CONTRIBUTOR, output),
        "sender_writer": role_line(told.sender or UNKNOWN, CONTRIBUTOR, account),
        "workspace_reader": role_line("PRINCIPAL-ID-OF-THE-WORKSPACE", READER, account),
        "by_identity": by_identity(at),
    }


def _found(pattern: str, words: str) -> str:
    found = re.search(pattern, words, re.IGNORECASE)
    return found[1] if found else ""
