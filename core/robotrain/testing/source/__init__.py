"""What every source kind is tried for; `robotrain.testing.SourceKit` is all of it."""
