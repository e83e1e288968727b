"""`plugins` and `platforms`: what is installed and what it can do, for people and as data whose keys only grow."""

import pytest

SITE = """
from robotrain.plugin import hook

@hook
def robotrain_check(job):
    return ()

@hook
def robotrain_run_changed(run, change):
    pass
"""


def test_plugins_are_listed_with_their_distributions_and_hooks(robotrain, install):
    install("acme", {"acme": "acme_site"}, version="2.1", acme_site=SITE)
    rows = {row["claim"]: row for row in robotrain("plugins", "--json").json["plugins"]}
    keys = {
        "claim": "acme",
        "distribution": "acme 2.1",
        "module": "acme_site",
        "hooks": ["robotrain_check", "robotrain_run_changed"],
        "failure": None,
    }
    assert keys.items() <= rows["acme"].items()
    (line,) = [line for line in robotrain("plugins").stdout.splitlines() if line.startswith("acme ")]
    assert line.endswith("ok: robotrain_check, robotrain_run_changed")
    assert rows["platform.local"]["distribution"] == "robotrain-local 0.1.0"
    assert "robotrain_platforms" in rows["platform.local"]["hooks"]


@pytest.mark.parametrize(("right", "wrong"), [("robotrain_check", "robotrain_chek"), ("(run, change)", "(run, hue)")])
def test_plugin_with_a_wrong_hook_fails_as_a_whole(robotrain, install, right, wrong):
    """Else a rule that nobody ever asks would look as if it were enforced."""
    install("acme", {"acme": "acme_site"}, acme_site=SITE.replace(right, wrong))
    (row,) = [row for row in robotrain("plugins", "--json").json["plugins"] if row["claim"] == "acme"]
    assert {"robotrain_chek": "'robotrain_chek'", "(run, hue)": "'hue'"}[wrong] in row["failure"]
    assert row["hooks"] == []
    answer = robotrain("render", "--platform", "local", "--dataset-path", "x")
    answer.check_problems(0, "plugin-failed")


def test_optional_hook_of_a_newer_robotrain_is_accepted(robotrain, install):
    source = SITE.replace("@hook\ndef robotrain_check", "@hook(optionalhook=True)\ndef robotrain_weather")
    install("acme", {"acme": "acme_site"}, acme_site=source)
    (row,) = [row for row in robotrain("plugins", "--json").json["plugins"] if row["claim"] == "acme"]
    assert row["failure"] is None


def test_failure_of_a_plugin_is_one_line_without_secrets(robotrain, install):
    source = "raise OSError('no answer from https://ada:pass-w0rd@host.example/x\\nsecond line')"
    install("acme", {"source.bad": "acme_bad"}, acme_bad=source)
    (line,) = [line for line in robotrain("plugins").stdout.splitlines() if line.startswith("source.bad")]
    assert "OSError" in line
    assert "second line" in line
    assert "pass-w0rd" not in line


def list_rows(text):
    """The rows of a table, with one space between words."""
    return [" ".join(row.split()) for row in text.splitlines()]


def test_platform_is_shown_with_reasons(robotrain, plain_platform):
    rows = list_rows(robotrain("platforms", "plain").stdout)
    assert "feature register_model no There is no model registry." in rows
    assert "policy from blob_url not yet The line is being laid." in rows
    assert "--zone TEXT where it runs [default: north; env: PLAIN_ZONE]" in rows
    assert robotrain("platforms", "plain", "--json").json["platforms"] == ["plain"]
    assert robotrain("platforms", "scripted").exit_code == 2


def test_platform_is_shown_with_alternatives_meanings_and_settings(robotrain):
    result = robotrain("platforms", "local").stdout
    assert "*" not in result
    rows = list_rows(result)
    (refused,) = [row for row in rows if row.startswith("dataset from data_asset no ")]
    assert "--blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX" in refused
    assert "any other workload yes" in rows
    assert any(row.startswith("feature stream_logs yes ") for row in rows)
    assert any(row.startswith("--runs-dir FOLDER ") for row in rows)
    rows = robotrain("platforms", "local", "--json").json["settings"]["local"]
    (row,) = [row for row in rows if row["name"] == "runs_dir"]
    assert (row["flag"], row["env"], row["default"]) == ("--runs-dir", ["ROBOTRAIN_RUNS_DIR"], None)
