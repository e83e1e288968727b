"""What `robotrain init` writes for `rosbag-act-train`, and its examples."""

from pathlib import Path

PARAMETERS = {
    "image_topics": "/camera/top=top",
    "state_topic": "/joint_states",
    "action_topic": None,
    "fps": 30.0,
    "training_steps": None,
    "batch_size": None,
    "learning_rate": None,
    "chunk_size": None,
    "register_checkpoint": None,
}
EXAMPLES = {"pusht-bags": Path(__file__).parents[1] / "examples/pusht-bags"}
