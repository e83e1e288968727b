"""The bash scripts of physical-ai-toolchain, and what robotrain has in their place."""
