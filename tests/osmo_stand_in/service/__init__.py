"""What a service of OSMO decides, without a network: each answer is a function of the state."""
