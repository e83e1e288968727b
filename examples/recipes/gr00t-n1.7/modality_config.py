"""What the trainer reads of the dataset, by the names in its meta/modality.json."""

from gr00t.configs.data.embodiment_configs import register_modality_config
from gr00t.data.embodiment_tags import EmbodimentTag
from gr00t.data.types import ActionConfig, ActionFormat, ActionRepresentation, ActionType, ModalityConfig

JOINTS = ["single_arm", "gripper"]
ABSOLUTE = ActionConfig(rep=ActionRepresentation.ABSOLUTE, type=ActionType.NON_EEF, format=ActionFormat.DEFAULT)

register_modality_config(
    {
        "video": ModalityConfig(delta_indices=[0], modality_keys=["front", "wrist"]),
        "state": ModalityConfig(delta_indices=[0], modality_keys=JOINTS),
        "action": ModalityConfig(
            delta_indices=list(range(16)), modality_keys=JOINTS, action_configs=[ABSOLUTE] * len(JOINTS)
        ),
        "language": ModalityConfig(delta_indices=[0], modality_keys=["annotation.human.task_description"]),
    },
    embodiment_tag=EmbodimentTag.NEW_EMBODIMENT,
)
