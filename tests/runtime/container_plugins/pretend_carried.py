"""A source of words, which a carrier brings together with others: see there for what they mean."""

CARRIER = "pretend_carrier"
