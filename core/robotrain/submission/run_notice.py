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


def tell_by_run(prepared: PreparedJob, text: str, plugins: Plugins) -> PreparedJob:
    """Return a job whose run tells the channels between commas, and no others. Raise Rejected if it cannot.

    Nothing is asked over a network.
    """
    platform = prepared.platform
    chosen, problems = choose_channels(text)
    if chosen and not platform.capabilities.feature(FEATURE):
        (refusal,) = make_feature_error(platform, FEATURE).problems
        raise Rejected([dataclasses.replace(refusal, where=NOTIFY_FLAG, suggestions=(*refusal.suggestions, WAIT))])
    is_here = bool(platform.capabilities.feature("runs_here"))
    added, more = _collect_references(chosen, platform.name, is_here)
    raise_if_any([*problems, *more])
    before = getattr(prepared.settings, SECRETS_SETTING, None)
    secrets = {**load_pairs(leave_out_channels(before)), **added}
    if load_pairs(before) == secrets:
        return prepared
    value = json.dumps(secrets) if secrets else None
    settings = dataclasses.replace(prepared.settings, **{SECRETS_SETTING: value})
    raise_if_any(name_channels(platform.plans.check(prepared.job, settings)))
    workload = plugins.workload(prepared.job.workload)
    modules = collect_container_plugins(prepared.job, workload, prepared.kinds, platform, settings)
    told = prepared.with_settings(
        settings, {SECRETS_SETTING: value}, {SECRETS_SETTING: str(Origin("flag", NOTIFY_FLAG))}
    )
    payload = prepared.payload if modules == prepared.container_plugins else None
    return dataclasses.replace(told, container_plugins=modules, payload=payload)


def _collect_references(
    chosen: Mapping[str, Mapping[str, str]], platform: str, is_here: bool
) -> tuple[dict[str, str], list[Problem]]:
    """Return the secrets of a job by variable, and the problems of channels without one for its platform.

    :param is_here: whether the run is one of this machine, which has the file of a channel.
    """
    references = dict[str, str]()
    problems = list[Problem]()
    for name, places in chosen.items():
        own_file = places.get(CHANNEL_FILE, "") if is_here else ""
        if where := places.get(platform) or own_file:
            problems += check_web_channel(name, where) if where == own_file else ()
            variable = make_variable(name)
            while variable in references:
                variable += "_"
            references[variable] = where
        else:
            problems.append(make_problem("notify-no-secret", name=name, platform=platform, path=get_user_file()))
    return references, problems
