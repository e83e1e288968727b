"""The local platform as others see it: what it declares, and what asking it imports."""

import subprocess
import sys

from robotrain.capabilities import FEATURES
from robotrain.platforms import Platform
from robotrain_local.platform import Local, robotrain_platforms
from robotrain_runtime.parameter import parameters_of

ASKED = """
import pluggy, robotrain.hookspecs, sys
before = set(sys.modules)
import robotrain_local.platform
print(*sorted(set(sys.modules) - before))
"""


def test_the_hook_brings_the_platform_its_entry_point_claims() -> None:
    (platform,) = robotrain_platforms()
    declared: Platform = Local()
    assert platform.name == declared.name == "local"


def test_every_known_feature_has_an_answer_and_every_no_a_reason_and_a_way_out() -> None:
    declared = Local.capabilities
    assert set(FEATURES) <= set(declared.features)
    for support in (*declared.features.values(), *declared.sources.values(), *declared.workloads.values()):
        assert support or (support.reason.endswith(".") and support.instead)


def test_local_folders_are_what_it_trains_from() -> None:
    assert Local.capabilities.kinds("dataset") == ("local_path",)


def test_settings_are_described_and_start_with_their_flags() -> None:
    declared = {parameter.flag: parameter for parameter in parameters_of(Local.settings)}
    assert list(declared) == ["--environment", "--runs-dir", "--tracking-uri"]
    assert all(parameter.param.help for parameter in declared.values())
    assert "MLFLOW_TRACKING_URI" not in declared["--tracking-uri"].env


def test_options_of_others_are_answered_with_a_sentence() -> None:
    assert "--environment PATH" in Local.declined["--image"]
    assert not set(Local.declined) & {flag for declared in parameters_of(Local.settings) for flag in declared.flags}


def test_being_asked_about_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    assert not {"subprocess", "zipfile", "pydantic", "platformdirs", "robotrain_runtime.preflight"} & set(
        done.stdout.split()
    )
