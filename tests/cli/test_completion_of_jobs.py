"""TAB on a job: profiles and keys to set are completed; files are left to the shell, which knows them."""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def complete(monkeypatch, capsys):
    """What bash is offered for a line that ends in a word begun."""
    from robotrain.cli.app import app

    def complete(*words):
        with monkeypatch.context() as line:
            line.setenv("_ROBOTRAIN_COMPLETE", "complete_bash")
            line.setenv("COMP_WORDS", " ".join(["robotrain", *words]))
            line.setenv("COMP_CWORD", str(len(words)))
            line.setattr(sys, "argv", ["robotrain"])
            with pytest.raises(SystemExit):
                app(prog_name="robotrain")
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return shown.out.split()

    return complete


@pytest.mark.parametrize(
    ("project", "offered"),
    [("[profiles.quick]\n[profiles.quiet]\n[profiles.far]\n", ["quick", "quiet"]), ("[profiles", [])],
    ids=["profiles", "damaged"],
)
def test_profiles_of_the_project_are_offered(complete, project, offered):
    Path("robotrain.toml").write_text(project)
    assert complete("submit", "--profile", "qui") == offered


def test_keys_to_set_and_their_values_are_offered(complete):
    assert complete("explain", "--platform", "local", "--set", "batch") == ["batch_size="]
    assert complete("explain", "--platform", "local", "--set", "runs") == ["runs_dir="]
    assert complete("render", "--platform", "local", "--set", "platforms.") == [
        f"platforms.local.{name}="
        for name in (
            *("environment", "runs_dir", "tracking_uri", "torch_backend"),
            *("blob_credential_file", "hub_token_file", "secrets", "cache_gib", "download_mib"),
        )
    ]
    assert "sources.dataset.local_path=" in complete("render", "--set", "sources.dataset.")
    assert complete("submit", "--set", "policy_type=d") == ["policy_type=diffusion"]
    assert complete("submit", "--set", "system_metrics=") == ["system_metrics=true", "system_metrics=false"]


def test_options_follow_the_platform_of_the_project(complete):
    assert complete("submit", "--runs") == []
    Path("robotrain.toml").write_text('platform = "local"\n')
    assert complete("submit", "--runs") == ["--runs-dir"]
    Path("robotrain.toml").write_text('platform = "osmo"\n')
    assert complete("submit", "--runs") == []
    assert complete("submit", "--poo") == ["--pool"]


def test_excluded_plugins_have_no_options(complete, monkeypatch):
    assert complete("submit", "--platform", "local", "--runs") == ["--runs-dir"]
    assert complete("submit", "--dataset-r") == ["--dataset-repo-id"]
    monkeypatch.setenv("ROBOTRAIN_WITHOUT", "platform.local,source.huggingface")
    assert complete("submit", "--platform", "local", "--runs") == []
    assert complete("submit", "--dataset-r") == []


def test_help_as_the_value_of_an_option_is_refused(robotrain):
    robotrain("submit", "--platform", "--help").check_problems(2, "flag-without-value --platform")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("platforms", "lo"), ["local"]),
        (("doctor", "--platform", "lo"), ["local"]),
        (("runs", "--platform", "lo"), ["local"]),
        (("schema", "--platform", "lo"), ["local"]),
        (("schema", "lero"), ["lerobot-eval", "lerobot-merge", "lerobot-train"]),
        (("image", "lero"), ["lerobot-eval", "lerobot-merge", "lerobot-train"]),
        (("submit", "--policy-type", "diff"), ["diffusion"]),
        (("submit", "lerobot-eval", "--policy-run", "la"), ["latest"]),
        (("submit", "jo"), []),
        (("submit", "--save-as", "jo"), []),
        (("submit", "--runs-dir", "jo"), []),
    ],
)
def test_names_and_choices_are_offered_and_files_are_left_to_the_shell(complete, words, offered):
    Path("job.yaml").write_text("")
    assert complete(*words) == offered


DIG = """
import typer
open("imported", "w").close()
app = typer.Typer(add_completion=False)

@app.command()
def dig(deep: int = 2): ...
"""


def test_commands_of_plugins_are_offered_without_importing_them(complete, install):
    claims = {"command.dig": "acme_dig:app", "command.digest": "acme_gone:app"}
    install("acme", claims, acme_dig=DIG)
    assert complete("di") == ["diff", "dig", "digest"]
    assert complete("--without", "command.digest", "di") == ["diff", "dig"]
    assert not Path("imported").exists()
    assert complete("dig", "--") == ["--deep", "--help"]
    assert complete("digest", "--") == complete("dug", "--") == []


def test_options_of_the_trainer_are_offered_for_the_chosen_type(complete):
    assert complete("submit", "--policy-type", "smol") == ["smolvla"]
    assert complete("submit", "--policy-type", "smolvla", "--", "--policy.num_v") == ["--policy.num_vlm_layers="]
    assert complete("submit", "--policy-type", "act", "--", "--policy.num_v") == []
    every_type = ["--policy.num_video_frames=", "--policy.num_vlm_layers="]
    assert complete("submit", "--", "--policy.num_v") == every_type
    assert complete("submit", "--reward-model", "sarm", "--", "--reward_model.image_k") == ["--reward_model.image_key="]
    assert complete("submit", "--", "--dataset.video") == ["--dataset.video_backend="]
    assert complete("submit", "--", "--policy.devi") == []
    Path("job.yaml").write_text("workload: lerobot-train\nparameters: {policy_type: smolvla}\n")
    assert complete("submit", "job.yaml", "--", "--policy.num_v") == ["--policy.num_vlm_layers="]
    assert complete("submit", "isaac-train", "--", "--pol") == []


def test_the_options_that_help_shows_are_offered_until_a_letter_is_typed(complete):
    offered = complete("submit", "command", "--platform", "local", "--")
    assert set(offered) >= {"--wait", "--dry-run", "--name", "--code", "--requirements", "--help", "--help-all"}
    assert not set(offered) & {"--note", "--runs-dir", "--gpus-per-node", "--backbone-path"}
    assert set(complete("submit", "command", "-")) == {*offered, "--platform", "-h"}
    assert {"--note", "--no-pin", "--no-val-split"} <= set(complete("submit", "--no"))
    assert complete("submit", "--gpus") == ["--gpus-per-node"]


def test_the_commands_that_help_describes_are_offered_until_a_letter_is_typed(complete):
    offered = complete("")
    assert offered[:5] == ["init", "submit", "watch", "report", "runs"]
    assert not set(offered) & {"schema", "plugins", "from-lerobot"}
    assert complete("s") == ["submit", "status", "sweep", "shell", "scores", "schema"]
    assert complete("from-l") == ["from-lerobot"]
    assert complete("--hel") == ["--help", "--help-all"]
