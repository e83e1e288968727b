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


def test_a_feature_at_its_default_needs_nothing(robotrain):
    options = ("--num-gpus", "1", "--mixed-precision", "no")
    assert robotrain("render", "--platform", "local", "--dataset-path", "x", *options).exit_code == 0
