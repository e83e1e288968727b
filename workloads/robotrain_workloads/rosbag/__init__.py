"""Reading ROS 2 bags: files, messages, time, episodes and pictures."""
