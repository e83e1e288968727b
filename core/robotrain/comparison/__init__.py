"""Whether one policy is better than another: statistics of pairs of episodes and of several trainings, without I/O."""
