"""The commands: what may be typed, and nothing else. The work is elsewhere and is imported when a command runs."""
