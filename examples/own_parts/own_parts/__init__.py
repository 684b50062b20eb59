"""Parts for Taxiway: a technique, a model, a metric, a file format. `pyproject.toml` names them as entry points."""
