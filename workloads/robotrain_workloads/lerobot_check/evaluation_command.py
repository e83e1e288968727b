"""The command that asks LeRobot about the options of an evaluated policy."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract.container_plugin import WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import policy, run_setup, versions
from robotrain_workloads.lerobot_eval.inputs import selection

POLICY_CHECK = "robotrain_workloads.lerobot_check.policy_check"


def make_check_command(document: JobDocument, described: Mapping[JobSource, Path], work: Path) -> WorkCommand | None:
    """Return the command; None without options for the policy, or for a policy of unknown type."""
    given = [argument for argument in document.trainer_args if argument.startswith("--policy.")]
    folder = selection.find_policy_folder(described)
    kind = "" if selection.find_policy_source(document.sources) else selection.get_builtin_type(document.parameters)
    with suppress(OSError, ValueError):
        kind = str(policy.load_policy_settings(folder)["type"]) if folder else kind
    known = versions.get_version(document.parameters["lerobot_version"]).policies
    if not given or kind not in known:
        return None
    arguments = ("-m", POLICY_CHECK, kind, str(folder or kind), "--", *given)
    return WorkCommand(arguments=arguments, environ=run_setup.make_hub_environment(document, work))
