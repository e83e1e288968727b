"""A run that tells channels itself how it ended: their addresses become secrets of its job, by reference."""

import dataclasses
import json
from collections.abc import Mapping

from robotrain_runtime.contract.parameter import load_pairs

from robotrain.config.user_file import CHANNEL_FILE, NOTIFY_FLAG, get_user_file
from robotrain.config.values import Origin
from robotrain.errors import Problem, Rejected, Suggestion, raise_if_any
from robotrain.messages import Messages
from robotrain.model.platform import make_feature_error
from robotrain.notifications import check_web_channel, choose_channels
from robotrain.plugins.manager import Plugins
from robotrain.submission.channel_variables import make_variable, name_channels
from robotrain.submission.container_plugins import collect_container_plugins
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.same_job import SECRETS_SETTING, leave_out_channels

make_problem = Messages(__file__)

WAIT = Suggestion("--wait", "this machine waits and tells")
FEATURE = "notify"


def tell_by_run(prepared: PreparedJob, channels_text: str, plugins: Plugins) -> PreparedJob:
    """Return a job whose run tells the channels between commas, and no others. Raise Rejected if it cannot.

    Nothing is asked over a network.
    """
    platform = prepared.platform
    chosen_channels, problems = choose_channels(channels_text)
    if chosen_channels and not platform.capabilities.feature(FEATURE):
        (refusal,) = make_feature_error(platform, FEATURE).problems
        raise Rejected([dataclasses.replace(refusal, where=NOTIFY_FLAG, suggestions=(*refusal.suggestions, WAIT))])
    runs_here = bool(platform.capabilities.feature("runs_here"))
    added_secrets, reference_problems = _collect_references(chosen_channels, platform.name, runs_here)
    raise_if_any([*problems, *reference_problems])
    earlier_secrets = getattr(prepared.settings, SECRETS_SETTING, None)
    secrets = {**load_pairs(leave_out_channels(earlier_secrets)), **added_secrets}
    if load_pairs(earlier_secrets) == secrets:
        return prepared
    secrets_json = json.dumps(secrets) if secrets else None
    settings = dataclasses.replace(prepared.settings, **{SECRETS_SETTING: secrets_json})
    raise_if_any(name_channels(platform.plans.check(prepared.job, settings)))
    workload = plugins.workload(prepared.job.workload)
    modules = collect_container_plugins(prepared.job, workload, prepared.kinds, platform, settings)
    notifying_job = prepared.with_settings(
        settings, {SECRETS_SETTING: secrets_json}, {SECRETS_SETTING: str(Origin("flag", NOTIFY_FLAG))}
    )
    payload = prepared.payload if modules == prepared.container_plugins else None
    return dataclasses.replace(notifying_job, container_plugins=modules, payload=payload)


def _collect_references(
    chosen_channels: Mapping[str, Mapping[str, str]], platform: str, runs_here: bool
) -> tuple[dict[str, str], list[Problem]]:
    """Return the secrets of a job by variable, and the problems of channels without one for its platform.

    :param runs_here: whether the run is one of this machine, which has the file of a channel.
    """
    references = dict[str, str]()
    problems = list[Problem]()
    for name, places in chosen_channels.items():
        own_file = places.get(CHANNEL_FILE, "") if runs_here else ""
        if reference := places.get(platform) or own_file:
            problems += check_web_channel(name, reference) if reference == own_file else ()
            variable = make_variable(name)
            while variable in references:
                variable += "_"
            references[variable] = reference
        else:
            problems.append(make_problem("notify-no-secret", name=name, platform=platform, path=get_user_file()))
    return references, problems
