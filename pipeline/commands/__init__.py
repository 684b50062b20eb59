"""The commands of the command line: their arguments and options. What they call is imported when a command runs."""
