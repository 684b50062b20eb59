"""From files of rows to labelled, split, standard `Examples`.

::

    from taxiway.components import TabularExampleGen

    TabularExampleGen(data={"path": "rows.csv"}, label={"column": "churned"})

A relative `data.path` is taken from the working directory; `DataConfig.resolve_path(folder)` takes it from a folder,
such as that of the configuration. The order of the classes is in the artifact's custom property `classes` and in its
`ingest.json`. The digest of the data's content is `tables.sources.fingerprint.fingerprint_files(config.data)`.
"""
