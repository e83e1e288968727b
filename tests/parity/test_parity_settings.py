"""Each setting of each platform, changed alone, changes what is sent."""

from collections.abc import Callable
from typing import Any

import pytest
from parity_cells import settings_of
from parity_command import DATASET, PLATFORMS, platform_words
from parity_document import Arrived
from parity_settings import CHANGES

SETTINGS = [pytest.param(at, name, id=f"{at}-{name}") for at in PLATFORMS for name in CHANGES[at]]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_setting_has_a_value_to_try(platform: str) -> None:
    assert sorted(CHANGES[platform]) == sorted(one.name for one in settings_of(platform))


@pytest.mark.parametrize(("platform", "name"), SETTINGS)
def test_one_changed_alone_changes_the_plan_and_not_the_job(
    render_job: Callable[..., Arrived], rendered_before: dict[tuple[str, ...], Arrived], platform: str, name: str
) -> None:
    change, flag = CHANGES[platform][name], f"--{name.replace('_', '-')}"
    usual = {**dict([DATASET]), **change.beside}
    key = ("settings", platform, *map(str, usual.items()))
    if key not in rendered_before:
        rendered_before[key] = render_job(platform, given=usual)
    before, after = rendered_before[key], render_job(platform, given=usual | {flag: change.value})
    assert before.digest != after.digest
    assert (before.run, before.document.job) == (after.run, after.document.job)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_run_is_not_tracked_by_the_same_word(
    render_job: Callable[..., Arrived], robotrain: Any, platform: str
) -> None:
    off = {"--tracking-uri": "none"}
    assert render_job(platform, given={**dict([DATASET]), **off}).document.placement.tracking_uri == ""
    refused = robotrain("explain", *DATASET, *platform_words(platform, {**off, "-r": "act-pusht"}), "--json")
    assert refused.exit_code > 0
    assert "--register-checkpoint" in {problem["where"] for problem in refused.json["problems"]}
    evaluation = ("lerobot-eval", *DATASET, "--policy-model", f"runs:/{'a' * 32}/checkpoint")
    assert robotrain("explain", *evaluation, *platform_words(platform, off)).exit_code > 0
    assert robotrain("explain", *evaluation, *platform_words(platform)).exit_code == 0
