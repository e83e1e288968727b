"""Suggestions for a refused job are tried before they are shown: those that bring another problem are left out."""

import json
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
from robotrain.cli import suggestion_trials
from robotrain.errors import Problem, Stage, Suggestion
from robotrain.plugins import site

DATASET = ("--dataset-repo-id", "lerobot/pusht")
TYPES = ("--", "--policy.chunk_size=50", "--policy.n_action_steps=50", "--policy.type=diffusion")


@pytest.fixture
def find_ways(robotrain):
    """Return the suggestions of a line, as texts by the code of their problem, and their remarks by text."""

    def find(*words):
        problems = json.loads(robotrain(*words[:1], "--json", *words[1:]).stdout)["problems"]
        texts = {
            problem["code"]: [way["text"] for way in problem["instead"]]
            for problem in problems
            if problem["severity"] == "error"
        }
        return texts, {way["text"]: way["remark"] for problem in problems for way in problem["instead"]}

    return find


def test_only_platforms_that_take_the_other_options_are_suggested(find_ways):
    ways, _ = find_ways("render", "lerobot-train", "--pool", "lab", *DATASET)
    assert ways["platform-missing"] == ["--platform osmo"]
    ways, _ = find_ways("render", "lerobot-train", *DATASET)
    line = f"robotrain render --json lerobot-train {shlex.join(DATASET)} --platform local"
    assert {"--platform osmo", "--platform slurm", line} < {*ways["platform-missing"]}


def test_only_workloads_that_take_the_options_are_suggested(find_ways):
    ways, _ = find_ways("render", "train", "--platform", "local", *DATASET)
    assert "lerobot-train" in ways["word-unknown"]
    assert "isaac-train" not in ways["word-unknown"]


def test_the_only_way_is_shown_with_the_problem_that_it_brings(robotrain, find_ways):
    line = ("render", "lerobot-train", "--platform", "local", *DATASET)
    ways, remarks = find_ways(*line, *TYPES)
    assert ways == {"option-owned": ["--policy-type diffusion"]}
    assert remarks["--policy-type diffusion"].startswith("but ")
    assert "chunk_size" in remarks["--policy-type diffusion"]
    ways, remarks = find_ways(*line, *TYPES[:1], *TYPES[3:])
    assert (ways, remarks["--policy-type diffusion"]) == ({"option-owned": ["--policy-type diffusion"]}, "")


def test_an_option_that_needs_another_is_shown_with_it(find_ways):
    line = ("render", "lerobot-train", "--platform", "local", *DATASET, "--", "--policy.chunksize=8")
    ways, _ = find_ways(*line)
    assert [*ways.values()] == [["--policy.chunk_size=8 --policy.n_action_steps=8"]]


def test_what_is_not_tried_is_shown(find_ways, monkeypatch):
    monkeypatch.setattr(suggestion_trials, "MAX_TRIALS", 1)
    ways, _ = find_ways("render", "lerobot-train", "--pool", "lab", *DATASET)
    assert len(ways["platform-missing"]) > 2
    ways, _ = find_ways("render", "--platform", "local", "--num-envs", "4", *DATASET)
    assert "robotrain submit isaac-train …" in ways["option-elsewhere"]  # something is still to be chosen
    ways, _ = find_ways("render", "lerobot-train", "--platform", "local", "--num-envs", "4", *DATASET)
    assert ways["option-elsewhere"] == ["leave out --num-envs"]  # another workload was chosen


WRONG_LINES = [
    ("--platform", "cloud", "--seeed", "1", *DATASET),
    ("--platform", "cloud", "--training-steps", "2k", "--pool", "lab", *DATASET),
    ("--platform", "osmo", "--dataset-asset", "azureml:pusht:3", "--policy-repo", "u/p"),
    ("--platform", "slurm", "--partion", "gpu", *DATASET),
    ("--platform", "local", *DATASET, *TYPES, "--policy.chnk_size=3"),
]


@pytest.mark.parametrize("words", WRONG_LINES, ids=lambda words: words[2])
def test_trials_ask_nobody(robotrain, cloud_platform, terraform, monkeypatch, words):
    requests, rules = [], []
    find_errors, find_site_problems = suggestion_trials._Trials._find_errors, site.find_site_problems

    def find_alone(trials, arguments):
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", lambda *command, **options: requests.append(command))
            patch.setattr(socket.socket, "connect", lambda *address: requests.append(address))
            patch.setattr(socket, "getaddrinfo", lambda *host: requests.append(host))
            tried.append(arguments)
            return find_errors(trials, arguments)

    def count_rules(*arguments):
        rules.append(arguments)
        return find_site_problems(*arguments)

    tried = []
    monkeypatch.setattr(suggestion_trials._Trials, "_find_errors", find_alone)
    monkeypatch.setattr(site, "find_site_problems", count_rules)
    answer = robotrain("render", "lerobot-train", *words)
    assert answer.exit_code in (2, 3), answer.stderr
    assert len(tried) >= 2  # the line itself, and what a suggestion makes of it
    assert requests == []
    assert len(rules) <= 1
    assert cloud_platform() <= 1
    assert len(terraform.calls) <= 1


def test_a_file_of_the_project_is_read_for_each_trial(find_ways):
    Path("robotrain.toml").write_text('[platforms.osmo]\npool = "lab"\n')
    ways, _ = find_ways("render", "lerobot-train", *DATASET)
    line = f"robotrain render --json lerobot-train {shlex.join(DATASET)} --platform local"
    assert {"--platform osmo", line} < {*ways["platform-missing"]}


def test_what_the_job_has_already_is_not_suggested_whatever_the_platform_says(find_ways, plain_platform, monkeypatch):
    ways = ("--zone west", "--zone north", "--replicas=3", "--replicas 4", "--new", "--seed 7")
    problem = Problem(
        code="zone-closed",
        stage=Stage.PREFLIGHT,
        title="the zone is closed",
        suggestions=tuple(map(Suggestion, ways)),
    )
    monkeypatch.setattr("plain_plugin.PlainEngine.preflight", lambda self, plan: [problem])
    Path("robotrain.toml").write_text("[platforms.plain]\nreplicas = 3\n")
    line = ("submit", "lerobot-train", "--platform", "plain", "--dry-run", "--no-pin", "--seed", "7", *DATASET)
    shown, _ = find_ways(*line, "--zone", "west")
    assert shown["zone-closed"] == ["--zone north", "--replicas 4", "--new"]
