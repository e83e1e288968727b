"""A training on bags as a job of the workspace, in the public image or in one that holds its environment."""

import pytest
from robotrain_workloads.rosbag_act_train.workload import ROSBAG_ACT_TRAIN

PUBLIC = ROSBAG_ACT_TRAIN.profile.container.image
PREBUILT = "registry.example/team/rosbag-act-train:1"
TOPICS = ("--environment-state-topic", "/keypoints", "--action-topic", "/action")


@pytest.mark.parametrize(("words", "image"), [((), PUBLIC), (("--image", PREBUILT), PREBUILT)])
def test_bags_are_sent_with_the_environment_at_start_or_in_an_image(observing, robotrain, name_workspace, words, image):
    observing.kubernetes("k8s-robots")
    observing.store.put(observing.container, {"bags/1/ep0/ep0_0.db3": b"a bag", "bags/1/ep0/metadata.yaml": b"{}"})
    observing.data("bags", 1, "bags/1")
    name_workspace(observing, "k8s-robots")
    data = ("--dataset-asset", "azureml:bags:1", *TOPICS)
    answer = robotrain("submit", "rosbag-act-train", "--platform", "azureml", *data, *words, "--json")
    assert answer.exit_code == 0, answer.stderr
    (job,) = observing.jobs.values()
    assert job.image == image
    assert "/environments/rosbag-act-training-env/" in str(job.body)
