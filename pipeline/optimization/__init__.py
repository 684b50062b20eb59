"""`taxiway optimize`: the optimizer on a SavedModel that no pipeline of ours made."""
