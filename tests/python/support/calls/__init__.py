"""A valid call of everything that users may call."""
