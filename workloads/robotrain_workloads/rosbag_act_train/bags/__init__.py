"""Reading ROS 2 bags: files, messages, time, episodes and pictures. Needs the extra `rosbag`."""
