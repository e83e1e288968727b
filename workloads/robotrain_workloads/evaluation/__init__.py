"""Results of evaluated policies: episodes, success rates, and the files of results that reports read."""
