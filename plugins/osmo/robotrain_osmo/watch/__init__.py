"""A workflow after it was submitted: how it is, what it prints, its end, what it left."""
