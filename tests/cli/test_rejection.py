"""What a platform cannot do is said before anything is rendered: which platform, what, why, what instead."""


def test_local_says_no_to_a_data_asset_and_who_takes_it(robotrain, mars):
    answer = robotrain("submit", "--platform", "local", "--dataset-asset", "azureml:pusht-episodes:3")
    assert answer.exit_code == 3
    lines = answer.stderr.splitlines()
    assert lines[0].startswith("error: local does not accept ")
    assert lines[0].endswith("[source-not-accepted]")
    assert lines[1].strip() == "--dataset-asset azureml:pusht-episodes:3"
    assert "--blob-url https://" in answer.stderr
    assert "--platform mars" in answer.stderr
    assert "(accepts data_asset)" in answer.stderr


def test_not_yet_differs_from_no(robotrain, mars):
    policy = ("--policy-url", "https://acc.blob.core.windows.net/data/p")
    answer = robotrain("submit", "--platform", "mars", "-d", "lerobot/pusht", *policy)
    assert answer.exit_code == 3
    assert answer.stderr.splitlines()[0].split("[")[0].strip().endswith("yet")


def test_features_that_come_later_are_refused_by_name(robotrain, mars):
    answer = robotrain("submit", "--platform", "mars", "-d", "lerobot/pusht", "--mixed-precision", "bf16")
    assert answer.exit_code == 3
    assert "feature-not-there" in answer.stderr


def test_a_feature_at_its_default_needs_nothing(robotrain):
    options = ("--num-gpus", "1", "--mixed-precision", "no")
    assert robotrain("render", "--platform", "local", "--dataset-path", "x", *options).exit_code == 0


def test_the_matrix_is_the_declaration(robotrain, mars):
    answer = robotrain("platforms", "--json")
    at = [answer.json["platforms"].index(name) for name in ("local", "mars")]
    rows = {row["what"]: [row["support"][each]["level"] for each in at] for row in answer.json["rows"]}
    assert rows["dataset from data_asset"] == ["no", "yes"]
    assert rows["feature multi_gpu"] == ["yes", "yes"]
    assert rows["feature mixed_precision"] == ["yes", "not_yet"]
