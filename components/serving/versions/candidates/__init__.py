"""The version that is tried beside the live one: what it is, and what is done to it."""
