"""What is evaluated, and on what: the policy, recorded episodes, and the simulated environment."""
