"""The components of the pipeline, their configuration sections and their errors.

The names of `__all__` are public. They are imported when they are first asked for: `import taxiway.components` loads
neither TensorFlow nor TFX, a configuration section does not either, a component does.
"""

from taxiway.lazy_exports import export_lazily

__all__, __getattr__, __dir__ = export_lazily(__name__)
