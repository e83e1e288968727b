"""The parity matrix: a row for all there is, an answer of each platform; in a terminal, as data, and as a page."""

import pytest
from robotrain.check import matrix
from robotrain.cli.commands import platforms as commands_platforms
from robotrain.cli.table import measure_width
from robotrain.model.capabilities import Capabilities
from robotrain.model.support import ANY, YES
from robotrain.plugins.manager import Plugins


@pytest.fixture
def platforms(robotrain, plain_platform):
    """`platforms --json`, and a way to find a row of it and the answers of one platform."""

    class Printed:
        json = robotrain("platforms", "--json").json

        def rows(self, **names) -> list[dict]:
            return [row for row in self.json["rows"] if names.items() <= row.items()]

        def cell(self, platform: str, **names) -> dict:
            (row,) = self.rows(**names)
            return row["support"][self.json["platforms"].index(platform)]

    return Printed()


def test_every_installed_kind_has_a_row(platforms):
    assert platforms.cell("plain", role="dataset", kind="blob_url")["level"] == "yes"
    silent = platforms.cell("plain", role="resume", kind="local_path")
    assert (silent["level"], silent["reason"] != "", silent["instead"]) == ("unknown", True, "")
    kinds = {row["kind"] for row in platforms.rows(section="sources")}
    assert kinds == {*Plugins("none").source_kinds(), ANY} - {"run"}


def test_a_no_has_its_reason_and_a_suggestion(platforms):
    cell = platforms.cell("local", role="policy", kind="model_asset")
    assert cell["level"] == "no"
    assert "Azure ML model" in cell["reason"]
    assert cell["instead"].startswith("download it")


def test_kinds_and_workloads_that_are_not_named_have_a_row(platforms):
    for role in ("dataset", "policy", "init_policy", "resume", "publish"):
        assert platforms.cell("local", role=role, kind=ANY)["level"] == "yes"
        assert platforms.cell("plain", role=role, kind=ANY)["level"] == "unknown"
    assert platforms.cell("osmo", workload=ANY)["level"] == "yes"
    assert platforms.cell("plain", workload="lerobot-train")["level"] == "yes"


def test_each_pair_of_datasets_has_a_row(platforms):
    datasets = {row["kind"] for row in platforms.rows(section="sources", role="dataset")} - {ANY}
    pairs = platforms.rows(section="combinations")
    assert len({frozenset((row["kind"], row["other"])) for row in pairs}) == len(datasets) * (len(datasets) + 1) // 2
    assert platforms.cell("plain", section="combinations", kind="blob_url", other="data_asset")["level"] == "yes"


def test_the_table_of_all_platforms_names_the_command_for_reasons(robotrain):
    answer = robotrain("platforms")
    assert answer.stderr.startswith("`robotrain platforms PLATFORM`")
    assert robotrain("platforms", "local").stderr == ""


def test_a_pair_with_a_kind_that_is_not_accepted_has_its_reason(platforms):
    pair = platforms.cell("osmo", section="combinations", kind="data_asset", other="local_path")
    assert pair == platforms.cell("osmo", section="sources", role="dataset", kind="data_asset")


def test_a_limit_is_a_number_at_most_that_of_robotrain(robotrain, plain_platform, monkeypatch):
    import plain_plugin

    monkeypatch.setitem(vars(plain_plugin.PLAIN), "capabilities", Capabilities(limits={"sources": 100, "zones": 2}))
    answer = robotrain("platforms", "--json").json
    at = {name: index for index, name in enumerate(answer["platforms"])}
    limits = {limit["name"]: limit for limit in answer["limits"]}
    assert limits["sources"]["numbers"] == [64] * len(at)
    assert "sources" in limits["sources"]["means"]
    assert (limits["spec_kib"]["numbers"][at["osmo"]], limits["spec_kib"]["numbers"][at["plain"]]) == (1024, None)
    assert limits["zones"]["numbers"][at["plain"]] == 2


def test_a_declared_kind_that_is_not_installed_has_a_row(robotrain, plain_platform, monkeypatch):
    import plain_plugin

    declared = Capabilities(sources={("dataset", "dust"): YES, ("policy", "data_asset"): YES}, features={"dig": YES})
    monkeypatch.setitem(vars(plain_plugin.PLAIN), "capabilities", declared)
    rows = {row["what"]: row["support"] for row in robotrain("platforms", "plain", "--json").json["rows"]}
    assert rows["dataset from dust"] == [{"level": "yes", "reason": "", "instead": ""}]
    assert rows["feature dig"][0]["level"] == "yes"
    assert "policy from data_asset" not in rows  # there is no flag that would name one


def test_a_narrow_terminal_gets_several_tables(plain_platform):
    plugins = Plugins()
    made = matrix.make_matrix(plugins.platforms(), plugins.source_kinds(), plugins.workloads())
    wide = commands_platforms.format_matrix(made, None)
    assert wide.splitlines()[0].split() == ["azureml", "local", "osmo", "plain", "slurm"]
    narrow = commands_platforms.format_matrix(made, 64)
    assert max(map(measure_width, narrow.splitlines())) <= 64
    heads = [line.split() for line in narrow.splitlines() if "azureml" in line or "osmo" in line.split()]
    assert heads == [["azureml", "local"], ["osmo", "plain"]]
    assert narrow.count("dataset from data_asset") == 3
    assert narrow.count("dataset from blob_url") == 1, "all are alike in it"


def test_rows_that_differ_come_first(plain_platform):
    plugins = Plugins()
    made = matrix.make_matrix(plugins.platforms(), plugins.source_kinds(), plugins.workloads())
    lines = commands_platforms.format_matrix(made, None).splitlines()
    alike = next(at for at, line in enumerate(lines) if line.split() == ["all"])
    assert next(at for at, line in enumerate(lines) if line.startswith("dataset from data_asset ")) < alike
    assert next(at for at, line in enumerate(lines) if line.startswith("dataset from blob_url ")) > alike
    assert len([line for line in lines if line]) == 2 + len(made.rows) + len(made.limits)


def test_one_platform_shows_its_limits_and_pairs(robotrain):
    output = robotrain("platforms", "osmo").stdout
    (pair,) = [line for line in output.splitlines() if line.startswith("datasets from blob_url and data_asset ")]
    assert pair.split()[4:] == ["data_asset", "no", "as", "dataset", "from", "data_asset"]
    assert "1024  " in output
    assert "KiB of native spec" in output
