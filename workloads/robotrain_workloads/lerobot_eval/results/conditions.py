"""Under which conditions scores hold, in words: two rates are to be compared only where these are the same."""

from collections.abc import Iterator, Sequence

from robotrain_workloads.lerobot_eval import starts_said
from robotrain_workloads.lerobot_eval.episode_list import ALL, HELD_OUT
from robotrain_workloads.lerobot_eval.evaluated import BUILTIN
from robotrain_workloads.lerobot_eval.loaded import OPTION
from robotrain_workloads.lerobot_eval.parameters import Parameters
from robotrain_workloads.lerobot_eval.results.found import About, Found

UNNAMED = Parameters.dataset_id
"""What a dataset is called that nobody named: its statistics tell it from others."""


def of(found: Found) -> str:
    """As `pusht, easy starts, at most 80 steps, success from reward 0.842; 5 held-out episodes of pusht-mini`."""
    return "; ".join(_ways(found))


def _ways(found: Found) -> Iterator[str]:
    about = found.about
    if found.rolled:
        said = (about.env, _starts(about), _steps(about), _success(about))
        yield ", ".join((*said, *_options(about.options)))
    if found.replayed:
        options = [one for one in about.options if one.startswith(OPTION)]
        yield ", ".join((_replayed(about, len(found.replayed.episodes)), *_options(options)))


def _options(given: Sequence[str]) -> Iterator[str]:
    if given:
        yield f"with {' '.join(given)}"


def _starts(about: About) -> str:
    if about.starts is None:
        return "its own starts"
    said = starts_said.shortly(about.starts)
    return f"{said} starts" if said.isidentifier() else f"starts {said}"


def _steps(about: About) -> str:
    if about.env_steps is None:
        return "as many steps as it has"
    return f"at most {about.env_steps} step{'s' * (about.env_steps != 1)}"


def _success(about: About) -> str:
    return "success as it says" if about.success_reward is None else f"success from reward {about.success_reward:g}"


def _replayed(about: About, count: int) -> str:
    asked = about.replay_episodes
    which = f" ({asked})" if asked not in (None, ALL, HELD_OUT) else ""
    said = f"{count} {'held-out ' if about.held_out else ''}episode{'s' * (count != 1)}{which} of {about.dataset}"
    digest = f" (statistics {about.statistics})" if about.dataset == UNNAMED and about.statistics else ""
    seen = ", which training may have seen" if about.held_out is False and about.policy["source"] != BUILTIN else ""
    return said + digest + seen
