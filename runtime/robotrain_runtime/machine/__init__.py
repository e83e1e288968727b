"""The machine that a run uses: its disk with the cache, and its hardware."""
