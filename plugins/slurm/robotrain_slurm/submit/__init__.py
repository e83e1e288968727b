"""How a plan is sent, exactly once."""
