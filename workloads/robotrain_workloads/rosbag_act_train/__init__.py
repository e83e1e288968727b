"""`rosbag-act-train`: an ACT policy from ROS 2 bags, without ROS and without LeRobot."""
