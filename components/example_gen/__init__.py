"""From files of rows to labelled, split, standard `Examples`.

::

    from components.example_gen.component import TabularExampleGen

    TabularExampleGen(data=config.data.model_dump_json(), label=config.label.model_dump_json())

A relative `data.path` is taken from the working directory; `DataConfig.located(folder)` makes it relative to the
configuration's. The order of classes is in the artifact's custom property `classes` and in its `ingest.json`
(`ingest.read_record(uri)`); `files.fingerprint(config.data)` is the content's digest, without tfx.
"""
