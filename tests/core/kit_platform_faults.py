"""Platforms for the kit: installing them, their world, and the standard tests that report each fault."""

import contextlib
from pathlib import Path

import pytest
from robotrain.testing import PlatformKit, World
from robotrain.testing.platform_rendering import HOSTILE_TEXTS

HERE = Path(__file__).parent
WRONG = {
    "WritesFile": {"test_rendering_has_no_side_effects[render]": "sample/note"},
    "StartsProgram": {"test_rendering_has_no_side_effects[explain]": "subprocess.Popen"},
    "WritesInThread": {"test_rendering_has_no_side_effects[render]": "sneaked"},
    "ResolvesHost": {"test_rendering_has_no_side_effects[render]": "socket.gethostbyname"},
    "ReadsHome": {"test_rendering_has_no_side_effects[render]": ".kit-team"},
    "RendersMachine": {"test_rendering_is_reproducible": "order.json"},
    "DropsPins": {"test_every_source_reaches_the_document": "01234567"},
    "ReordersSources": {"test_every_source_reaches_the_document": "kit_shelf"},
    "FindsOtherPlan": {"test_find_returns_the_submitted_plan_only": "takes another plan of that name"},
    "RendersDate": {"test_rendering_is_reproducible": "order.json"},
    "ChangesJob": {"test_render_uses_its_arguments_unchanged": "--extra"},
    "DropsParameter": {
        "test_parameters_and_arguments_reach_the_document": "kit_rate",
        "test_workload_support_matches_declaration": "parameters of kit-train",
    },
    "FillsTemplates": {
        "test_hostile_text_is_unchanged_or_rejected[templates]": "49",
        "test_parameters_and_arguments_reach_the_document": "--two=a",
    },
    "DeclaresTooMuch": {
        "test_source_support_matches_declaration": "declarestoomuch does not take that after all",
        "test_kind_combinations_match_declaration": "declarestoomuch does not take that after all",
        "test_feature_support_matches_declaration": "declarestoomuch does not take that after all",
        "test_declaration_is_complete": (
            "yes to huggingface as checkpoint, a role that it does not have",
            "without a reason; write no(\"why\", \"what to do instead\"): ('policy', 'blob_url')",
            "the limits are sources, spec_kib, steps; not: racks",
        ),
    },
    "RendersSecret": {"test_plan_holds_no_secret_of_the_environment": "order.json"},
    "StoresSecret": {"test_run_record_holds_no_secret_of_the_environment": "kitCanary"},
    "NeverFinds": {
        "test_repeated_submit_after_interruption_creates_one_run": (
            "not 1, after a submit interrupted after `submit` was repeated",
            "not 1, after a submit interrupted by interruption 2 of the world was repeated",
        ),
        "test_find_returns_the_submitted_plan_only": "returned None",
        "test_engine_that_does_not_answer_is_a_passing_failure": "or it is sent again",
    },
    "AlwaysFinds": {
        "test_repeated_submit_after_interruption_creates_one_run": "the engine has 0 runs",
        "test_find_returns_the_submitted_plan_only": "returned a run",
    },
    "RepeatsLines": {"test_log_returns_immediately": "kit: first"},
    "AlwaysFollows": {"test_log_returns_immediately": "did not return by itself"},
    "FollowsForever": {"test_following_ends_with_the_run": "was not followed"},
    "CancelsOnce": {
        "test_cancel_is_idempotent": "it is stopped already",
    },
    "GuessesStates": {
        "test_native_states_are_mapped": "KitUnheardOf",
        "test_engine_that_does_not_answer_is_a_passing_failure": "`status` concludes lost from silence",
        "test_unknown_run_is_rejected": "raise RunGone",
    },
    "ListsAllRunning": {"test_native_states_are_mapped": "to running by `list_statuses`"},
    "MalformedSettings": {
        "test_declaration_is_complete": ("pool has no help text", "pool_token asks for a secret", "not so: --pool"),
        "test_setting_flags_are_unique": "--platform",
    },
    "RendersFirstAttempt": {"test_plan_and_document_match_the_job": "-2"},
    "SubmitsTwice": {
        "test_each_submit_creates_one_run": "the engine has 2 runs",
    },
    "InventsCheckpoint": {"test_new_run_has_no_outputs": "checkpoints/000001"},
    "HidesCheckpoint": {"test_checkpoint_is_downloaded": "steps [], not [40]"},
    "DownloadsNothing": {"test_checkpoint_is_downloaded": "weights"},
    "DropsSourcePlugins": {"test_every_source_reaches_the_document": "nor does the platform mount it"},
    "LacksTracking": {"test_every_source_reaches_the_document": "the document has no tracking_uri"},
    "DropsPayload": {"test_render_uses_its_arguments_unchanged": "missing or changed"},
    "FormatsSettings": {
        "test_hostile_setting_changes_nothing_else[template]": "plugin-failed",
        "test_publish_targets_match_declaration": "the document has None",
    },
    "RejectsWorkload": {
        "test_workload_support_matches_declaration": "rejectsworkload does not run that after all",
        "test_declaration_is_complete": "summary",
    },
    "ImportsHeavyModules": {
        "test_imports_only_public_names": "robotrain.plugin._MODULES",
        "test_nothing_heavy_is_imported_before_submit": (
            "imported by loading the platform; import them in the methods that need them: asyncio, sqlite3,",
            "hypothesis",
        ),
    },
}
"""By faulty platform, the standard tests that must fail, and what they say."""
RIGHT = {
    "AcceptsOneSource": (
        *(f"test_hostile_text_is_unchanged_or_rejected[{theme}]" for theme in HOSTILE_TEXTS),
        *(
            "test_every_source_reaches_the_document",
            "test_kind_combinations_match_declaration",
            "test_limits_are_enforced",
        ),
        "test_rendering_has_no_side_effects[render]",
    ),
}
"""By correct but unusual platform, the standard tests that must pass."""


class SampleWorld(World):
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

    @contextlib.contextmanager
    def away(self):
        self._folder.rename(hidden := self._folder.with_name("hidden"))
        yield
        hidden.rename(self._folder)

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
    """Install every platform; return their world: a folder is the engine."""
    heavy = "ImportsHeavyModules"
    claims = {f"platform.{name.lower()}": "kit_faulty_plugin" for name in (*WRONG, *RIGHT) if name != heavy}
    install("robotrain-sample", {"platform.sample": "kit_sample_plugin"}, kit_sample_plugin=text("kit_sample_platform"))
    install("robotrain-faulty", claims, kit_faulty_plugin=text("kit_faulty_platforms"))
    claims = {f"platform.{heavy.lower()}": "kit_heavy_plugin"}
    site = install("robotrain-heavy", claims, kit_heavy_plugin=text("kit_heavy_platform"))
    with next(site.glob("*.dist-info/METADATA")).open("a") as metadata:
        metadata.write("Requires-Dist: hypothesis\n")
    folder = tmp_path / "sample"
    folder.mkdir()
    monkeypatch.setenv("SAMPLE_ENGINE", str(folder))
    return SampleWorld(folder)


def text(name: str) -> str:
    return (HERE / f"{name}.py").read_text()


def make_kit(name: str) -> type[PlatformKit]:
    return type(f"Test{name}", (PlatformKit,), {"platform": name.lower()})
