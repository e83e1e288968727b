# What the trainer reads of the dataset, by the names in its meta/modality.json. This file continues the module
# gr00t/experiment/data_config.py of Isaac-GR00T: what is defined there needs no import.


class MyRobotDataConfig(So100DataConfig):
    video_keys = ["video.front", "video.wrist"]
    state_keys = ["state.single_arm", "state.gripper"]
    action_keys = ["action.single_arm", "action.gripper"]
    language_keys = ["annotation.human.task_description"]
    observation_indices = [0]
    action_indices = list(range(16))


DATA_CONFIG_MAP["my_robot"] = MyRobotDataConfig()
