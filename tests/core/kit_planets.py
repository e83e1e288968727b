"""Planets for the kit: installing them, their world, and what is wrong with each."""

import contextlib
from pathlib import Path

import pytest
from robotrain.testing.fixtures import World
from robotrain.testing.platform_kit import PlatformKit
from robotrain.testing.platform_security import HOSTILE_TEXTS

HERE = Path(__file__).parent
WRONG = {
    "writes": {"test_a_plan_is_made_without_touching_anything[render]": "planet/note"},
    "asks": {"test_a_plan_is_made_without_touching_anything[explain]": "subprocess.Popen"},
    "sneaks": {"test_a_plan_is_made_without_touching_anything[render]": "sneaked"},
    "resolves": {"test_a_plan_is_made_without_touching_anything[render]": "socket.gethostbyname"},
    "reads": {"test_a_plan_is_made_without_touching_anything[render]": ".kit-team"},
    "knows": {"test_equal_jobs_are_equal_bytes_anywhere": "order.json"},
    "unpins": {"test_what_a_source_was_pinned_to_arrives": "01234567"},
    "groups": {"test_every_source_arrives": "kit_shelf"},
    "adopts": {"test_a_plan_is_found_once_it_was_sent": "another plan of that name"},
    "dates": {"test_equal_jobs_are_equal_bytes_anywhere": "order.json"},
    "changes": {"test_the_job_is_left_as_it_is": "--planet"},
    "loses": {"test_every_source_arrives": "kit_shelf"},
    "forgets": {
        "test_every_parameter_arrives_as_given": "kit_rate",
        "test_every_workload_arrives_with_all_its_parameters": "kit-train",
    },
    "templates": {
        "test_a_text_arrives_exactly_or_is_refused[templates]": "49",
        "test_arguments_of_the_trainer_arrive_in_their_order": "--two=a",
    },
    "boasts": {
        "test_a_source_is_taken_as_declared[dataset-kit_shelf]": "boasts does not take that after all",
        "test_two_kinds_go_together_as_declared": "boasts does not take that after all",
        "test_a_feature_is_there_as_declared": "boasts does not take that after all",
        "test_a_yes_is_for_something_that_exists": "checkpoint",
        "test_every_no_has_a_reason": "blob_url",
        "test_a_limit_is_kept": "moons",
    },
    "tells": {"test_no_secret_of_the_environment_is_in_a_plan": "order.json"},
    "keeps": {"test_no_secret_of_the_environment_is_kept_of_a_run": "kitCanary"},
    "blind": {
        "test_a_submit_that_is_cut_off_and_repeated_is_one_run[after-the-engine-took-it]": "assert 2 == 1",
        "test_a_submit_that_is_cut_off_inside_and_repeated_is_one_run": "assert 2 == 1",
        "test_a_plan_is_found_once_it_was_sent": "is not None",
    },
    "eager": {
        "test_a_submit_that_is_cut_off_and_repeated_is_one_run[before-the-engine-took-it]": "assert 0 == 1",
        "test_a_plan_is_found_once_it_was_sent": "is None",
    },
    "repeats": {"test_the_log_is_there_at_once": "kit: first"},
    "stays": {"test_the_log_is_there_at_once": "did not return by itself"},
    "goes": {"test_following_ends_with_the_run": "was not heard"},
    "kills": {
        "test_cancel_can_be_said_twice": "it is stopped already",
        "test_cancel_leaves_a_run_that_ended_as_it_is": "cancelled",
    },
    "guesses": {
        "test_every_native_state_has_its_meaning": "KitUnheardOf",
        "test_a_run_that_nobody_knows_is_said_to_be_gone": "DID NOT RAISE",
    },
    "misnames": {
        "test_settings_are_declared_as_they_are_to_be": "pool",
        "test_every_setting_has_its_flag_to_itself": "--platform",
        "test_what_is_declined_is_told": "--pool",
    },
    "renames": {"test_another_attempt_is_another_run_of_the_same_job": "-2"},
    "doubles": {
        "test_a_submit_is_one_run": "assert 2 == 1",
        "test_the_same_job_twice_is_two_runs": "[2, 2]",
    },
    "leaves": {"test_a_run_that_was_just_sent_left_nothing": "checkpoints/000001"},
    "empties": {"test_a_checkpoint_that_a_run_left_is_brought": "[] == [40]"},
    "idles": {"test_a_checkpoint_that_a_run_left_is_brought": "weights"},
    "sulks": {"test_cancel_can_be_said_twice": "FileExistsError"},
    "halves": {"test_every_source_arrives": "nor does the platform mount it"},
    "untracked": {"test_every_source_arrives": "is looked up where the run is tracked, and that is nowhere"},
    "lightens": {"test_the_payload_travels": "not there, or changed"},
    "formats": {
        "test_a_text_in_a_setting_changes_nothing_else[template]": "plugin-failed",
        "test_a_place_to_publish_to_is_taken_as_declared": "what arrives is None",
    },
    "picks": {
        "test_a_workload_runs_as_declared": "picks does not run that after all",
        "test_it_loads": "summary",
    },
    "heavy": {
        "test_it_imports_what_is_promised_to_stay": "robotrain.errors.MAX_SENTENCE",
        "test_asking_for_it_imports_nothing_heavy": "asyncio",
        "test_no_sdk_is_imported_before_a_job_is_sent": "hypothesis",
    },
}
"""By platform, the standard tests that find it out, and what they say."""
RIGHT = {
    "narrow": (
        *(f"test_a_text_arrives_exactly_or_is_refused[{theme}]" for theme in HOSTILE_TEXTS),
        *("test_every_source_arrives", "test_two_kinds_go_together_as_declared", "test_a_limit_is_kept"),
        "test_a_plan_is_made_without_touching_anything[render]",
    ),
}
"""By platform, the standard tests that something rare, and right, passes."""


class PlanetWorld(World):
    native_states = {  # noqa: RUF012 - the kit reads it of an instance
        "waits": "pending",
        "works": "running",
        "done": "succeeded",
        "broken": "failed",
        "stopped": "cancelled",
    }

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def count_runs(self, run: str) -> int:
        path = self._folder / run / "taken"
        return len(path.read_text().split()) if path.exists() else 0

    def set_native_state(self, reference, native: str) -> None:
        (self._folder / reference["id"] / "state").write_text(native)

    def write_log(self, reference, *lines: str) -> None:
        with (self._folder / reference["id"] / "log").open("a") as log:
            log.writelines(f"{line}\n" for line in lines)

    def leave_checkpoint(self, reference, step: int) -> dict[str, bytes]:
        folder, files = self._folder / reference["id"] / "left" / str(step), {"weights": b"w", "state": b"s"}
        folder.mkdir(parents=True)
        for path, content in files.items():
            (folder / path).write_bytes(content)
        return files

    def interruptions(self):
        yield from (self._before("state"), self._before("sent"))

    @contextlib.contextmanager
    def _before(self, name):
        """A submit that ends before it writes that file."""

        def cut(path, *more, **further):
            if path.name == name:
                raise KeyboardInterrupt
            return original(path, *more, **further)

        method = "write_text" if name == "state" else "touch"
        original = getattr(Path, method)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Path, method, cut)
            yield


@pytest.fixture
def world(install, tmp_path, monkeypatch):
    """Every planet installed; the folder that is their engine."""
    install("robotrain-planet", {"platform.planet": "kit_planet_plugin"}, kit_planet_plugin=text("kit_planet"))
    claims = {f"platform.{name}": "kit_wrong_plugin" for name in (*WRONG, *RIGHT) if name != "heavy"}
    install("robotrain-planets", claims, kit_wrong_plugin=text("kit_planets_gone_wrong"))
    site = install("robotrain-heavy", {"platform.heavy": "kit_heavy_plugin"}, kit_heavy_plugin=text("kit_heavy_planet"))
    with next(site.glob("*.dist-info/METADATA")).open("a") as metadata:
        metadata.write("Requires-Dist: hypothesis\n")
    folder = tmp_path / "planet"
    folder.mkdir()
    monkeypatch.setenv("PLANET", str(folder))
    return PlanetWorld(folder)


def text(name: str) -> str:
    return (HERE / f"{name}.py").read_text()


def kit_of(planet: str) -> type[PlatformKit]:
    return type(f"Test{planet.title()}", (PlatformKit,), {"platform": planet})
