"""The pipeline: its configuration, its definition, runs and their lineage.

The names of `__all__` are public. They are imported when they are first asked for; only `create_pipeline` loads
TensorFlow and TFX, and `run` does when it is called.
"""

from taxiway.lazy_exports import export_lazily

__all__, __getattr__, __dir__ = export_lazily(__name__)
