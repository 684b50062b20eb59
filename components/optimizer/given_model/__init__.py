"""A SavedModel that no pipeline of ours made: its signatures, and rows to try it with."""
