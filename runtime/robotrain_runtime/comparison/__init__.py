"""Which of two policies is better: statistics of pairs of episodes from equal starts, for the run and the laptop."""
