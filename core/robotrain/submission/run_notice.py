"""A run that tells the user's webhook itself how it ended: its address becomes a secret of its job, by reference."""

import dataclasses
import json

from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import NOTIFY_VARIABLE

from robotrain.config.user_file import ADDRESS_FILE, get_user_file, read_user_file
from robotrain.config.values import Origin
from robotrain.errors import Rejected, Suggestion, raise_if_any, select_errors
from robotrain.messages import Messages
from robotrain.model.platform import Platform, make_feature_error
from robotrain.notifications import check_address_file
from robotrain.plugins.manager import Plugins
from robotrain.submission.container_plugins import collect_container_plugins
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.same_job import SECRETS_SETTING, leave_out_webhook

make_problem = Messages(__file__)

NOTIFY_FLAG = "--notify"
WAIT = Suggestion("--wait", "this machine waits and tells")
FEATURE = "notify"


def tell_by_run(prepared: PreparedJob, is_told: bool, plugins: Plugins) -> PreparedJob:
    """Return a job whose run tells the user's webhook, or none. Raise Rejected if it cannot.

    Nothing is asked over a network.
    """
    platform = prepared.platform
    earlier_secrets = getattr(prepared.settings, SECRETS_SETTING, None)
    secrets = dict(load_pairs(leave_out_webhook(earlier_secrets)))
    if is_told:
        secrets[NOTIFY_VARIABLE] = _find_reference(platform)
    if load_pairs(earlier_secrets) == secrets:
        return prepared
    secrets_json = json.dumps(secrets) if secrets else None
    settings = dataclasses.replace(prepared.settings, **{SECRETS_SETTING: secrets_json})
    raise_if_any(select_errors(platform.plans.check(prepared.job, settings)))  # the warnings were said before
    workload = plugins.workload(prepared.job.workload)
    modules = collect_container_plugins(prepared.job, workload, prepared.kinds, platform, settings)
    notifying_job = prepared.with_settings(
        settings, {SECRETS_SETTING: secrets_json}, {SECRETS_SETTING: str(Origin("flag", NOTIFY_FLAG))}
    )
    payload = prepared.payload if modules == prepared.container_plugins else None
    return dataclasses.replace(notifying_job, container_plugins=modules, payload=payload)


def _find_reference(platform: Platform) -> str:
    """Return the secret of a job on a platform with the address of the user's webhook. Raise Rejected without one."""
    if not platform.capabilities.feature(FEATURE):
        (refusal,) = make_feature_error(platform, FEATURE).problems
        raise Rejected([dataclasses.replace(refusal, where=NOTIFY_FLAG, suggestions=(*refusal.suggestions, WAIT))])
    user_file = read_user_file()
    if reference := user_file.webhook.get(platform.name):
        return reference
    file = user_file.webhook.get(ADDRESS_FILE, "")
    if platform.capabilities.feature("runs_here"):  # the run has the file of this machine
        raise_if_any([*user_file.problems, *check_address_file(file)])
        return file
    raise Rejected(
        [
            *user_file.problems,
            make_problem("notify-no-secret", platform=platform.name, path=get_user_file()),
        ]
    )
