"""`robotrain data`: the check of a dataset and its page, on the machine that submits; no job carries it."""
