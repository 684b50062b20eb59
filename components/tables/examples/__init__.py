"""The rows of an `Examples` artifact as Arrow record batches, with bounded memory. No tfx.

::

    from taxiway.components.tables.examples.shards import list_shards, read_shard, read_split

    for batch in read_split(examples_uri, "train", columns=["fare"]):  # columns of lists, as tfx_bsl decodes examples
        ...
    for shard in list_shards(examples_uri, "eval"):  # the files of the split: what several processes share
        read_shard(shard)

`example_gen` leaves a columnar copy of every file of examples: `Columns-SPLIT/NAME.parquet` has the rows of
`Split-SPLIT/NAME.gz` in the same order. Stock components read the folders `Split-*` alone. Examples of other components
have no copy, and the same functions decode their TFRecords.
"""
