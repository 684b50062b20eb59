"""Taxiway: from a table of data to a validated, optimized, measured model in a TensorFlow Serving directory.

    import taxiway
    run = taxiway.run("mine.yaml")
    print(run.state, run.version, run.find_metrics().candidate)

The names of `__all__`, and those of `taxiway.components` and `taxiway.pipeline`, are public; everything else may change
with any version. `import taxiway` loads neither TensorFlow nor TFX.
"""

from taxiway.lazy_exports import export_lazily

__all__, __getattr__, __dir__ = export_lazily(__name__)
