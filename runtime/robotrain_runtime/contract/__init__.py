"""The contract: what core and plugins may import. It imports nothing else of the runtime."""
