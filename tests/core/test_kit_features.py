"""The kit fails for what a platform declares, or has to do, and does not: on the example for PBS, without one part."""

import dataclasses
import sys
from pathlib import Path

import pytest
import quick_command
from robotrain.errors import Problem, Rejected, Stage
from robotrain.model.support import YES
from robotrain.testing import PlatformKit, platform_features
from robotrain.testing.platform_features import EngineFeatureTests

QUICK = Path(__file__).parent
EXAMPLE = Path(__file__).parents[2] / "examples/plugins/robotrain-pbs"
METADATA = "Metadata-Version: 2.1\nName: robotrain-pbs\nVersion: 0.1.0\n"
LEAST, FORGOTTEN, WAITING = (
    "test_least_request_is_not_rounded_to_nothing",
    "test_forgotten_run_has_ended",
    "test_job_that_waits_again_is_stopped",
)
STEPS, NODES = (
    "test_steps_of_a_scheduler_wait",
    "test_several_nodes_are_asked_for",
)


def ask_for_nodes(make_words):
    """Return a `make_submit_words` with words for several nodes, which the example has none for."""

    def make(platform, job, settings, sent):
        nodes = ["-l", f"nodes={job.training_nodes}"] if job.training_nodes > 1 else []
        return [*nodes, *make_words(platform, job, settings, sent)]

    return make


def ask_for_one_node(make_words):
    return lambda platform, job, settings, sent: make_words(
        platform, job.with_parameter("num_nodes", 1), settings, sent
    )


def tell_less(**changes):
    """Return what makes a `search_jobs` that does not tell something of each job."""
    return lambda search: (
        lambda platform, jobs: [dataclasses.replace(job_state, **changes) for job_state in search(platform, jobs)]
    )


def replace_with(value):
    return lambda before: value


def fail(*args):
    raise Rejected([Problem(code="unknown-job", stage=Stage.SUBMIT, title="no such job")])


LIES = (
    (
        STEPS,
        {"dependency_words": replace_with(()), "hold_words": replace_with(())},
        ("`dependency_words`", "`hold_words`"),
    ),
    (STEPS, {"release_command": replace_with(())}, ("set `release_command`",)),
    (STEPS, {"search_jobs": tell_less(is_held=False)}, ("`is_held`",)),
    (STEPS, {"search_jobs": tell_less(is_waiting=False)}, ("2 jobs of step first, not 1",)),
    (STEPS, {"search_jobs": tell_less(needs=())}, ("2 jobs of step second, not 1",)),
    (
        NODES,
        {"make_node_launcher": replace_with(lambda *args: ()), "make_submit_words": ask_for_one_node},
        ("`make_node_launcher`", "ask for them all"),
    ),
    (LEAST, {"check": replace_with(lambda *args: ())}, ("--memory 1K asks the scheduler for 0K",)),
    (
        FORGOTTEN,
        {"get_engine_states": replace_with(fail), "stop_jobs": replace_with(lambda *args: "unknown job")},
        ("has forgotten fails: no such job", "was forgotten: unknown job"),
    ),
    (FORGOTTEN, {"get_engine_states": replace_with(lambda platform, jobs: dict.fromkeys(jobs, "Q"))}, ("pending",)),
    (WAITING, {"stop_jobs": replace_with(lambda *args: "it has not begun")}, ("is refused: it has not begun",)),
)
"""By test, what the platform does not do, and what the test says then."""


class TestPBS(EngineFeatureTests):
    platform = "pbs"

    @pytest.fixture
    def world(self, tmp_path, monkeypatch):
        information = tmp_path / "site/robotrain_pbs-0.1.0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(METADATA)
        (information / "entry_points.txt").write_text("[robotrain]\nplatform.pbs = robotrain_pbs.platform\n")
        for folder in (EXAMPLE / "tests", EXAMPLE, information.parent):
            monkeypatch.syspath_prepend(folder)
        from pbs_world import COMMANDS, PBSWorld
        from robotrain_pbs.platform import PBS, PBSEngine

        can = dataclasses.replace(PBS.capabilities, features={**PBS.capabilities.features, "multi_node": YES})
        for name, value in {
            "settle_seconds": 0.1,
            "make_node_launcher": lambda platform, job, settings: ("pbsdsh", "--"),
            "make_submit_words": ask_for_nodes(PBSEngine.make_submit_words),
        }.items():
            monkeypatch.setattr(PBSEngine, name, value)
        monkeypatch.setitem(vars(PBS), "capabilities", can)
        world = PBSWorld(tmp_path / "cluster", monkeypatch)
        for command in COMMANDS:
            program = tmp_path / "cluster/bin" / command
            program.write_text(quick_command.make_executable("quick_pbs", QUICK, world.server, command))
        yield world
        for name in [name for name in sys.modules if name.startswith(("robotrain_pbs", "pbs_world"))]:
            del sys.modules[name]

    @pytest.mark.parametrize(("test", "changes", "sentences"), LIES)
    def test_feature_that_does_nothing_fails(self, bench, monkeypatch, test, changes, sentences):
        kind = type(bench.engine)
        for name, change in changes.items():
            monkeypatch.setattr(kind, name, change(getattr(kind, name)))
        cuts = platform_features.STEP_CUTS  # one of them shows it
        monkeypatch.setattr(platform_features, "STEP_CUTS", cuts[1:2] if "2 jobs" in sentences[0] else cuts[-1:])
        arguments = {"monkeypatch": monkeypatch} if test == STEPS else {}
        arguments = {"name": "memory", "least": "1K", "nothing": "0K"} if test == LEAST else arguments
        with pytest.raises(pytest.fail.Exception) as failure:
            getattr(PlatformKit(), test)(bench, **arguments)
        for sentence in sentences:
            assert sentence in str(failure.value)
