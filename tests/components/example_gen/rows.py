"""Files of rows for the tests, and the examples that came of them."""

import gzip
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from taxiway.components.contract import SPLITS
from taxiway.components.example_gen.config import DataConfig, LabelConfig
from taxiway.components.example_gen.ingest import ingest_data

TABLE = {
    "fare (USD)": [1.5, 2.0, None, 4.25],
    "größe": [1, 2, 3, None],
    "company": ["a,b", 'say "hi"', None, "日本"],
    "y": [0, 1, 1, 0],
}


def csv_text(table, delimiter=","):
    def cell(value):
        if value is None:
            return ""
        text = str(value)
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n' + delimiter) else text

    lines = [delimiter.join(map(cell, table))]
    lines += [delimiter.join(map(cell, row)) for row in zip(*table.values(), strict=True)]
    return "\n".join(lines) + "\n"


def write(path: Path, table=TABLE):
    """Writes a table in the format that the name says."""
    name = path.name
    text = csv_text(table).encode()
    records = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    lines = "".join(json.dumps({k: v for k, v in r.items() if v is not None}) + "\n" for r in records).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".csv"):
        path.write_bytes(text)
    elif name.endswith(".csv.gz"):
        path.write_bytes(gzip.compress(text))
    elif name.endswith(".csv.zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name.removesuffix(".zip"), text)
            archive.writestr("__MACOSX/._x", b"\0")
    elif name.endswith(".jsonl"):
        path.write_bytes(lines)
    elif name.endswith(".jsonl.gz"):
        path.write_bytes(gzip.compress(lines))
    elif name.endswith(".parquet"):
        pq.write_table(pa.table(table), path)
    else:
        _write_records(path, records)
    return path


def _write_records(path, records):
    import tensorflow as tf

    compression = "GZIP" if path.name.endswith(".gz") else ""
    with tf.io.TFRecordWriter(str(path), compression) as out:
        for record in records:
            out.write(example(tf, record))


def example(tf, record):
    kinds = {
        int: lambda v: tf.train.Feature(int64_list=tf.train.Int64List(value=[v])),
        float: lambda v: tf.train.Feature(float_list=tf.train.FloatList(value=[v])),
        str: lambda v: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode()])),
    }
    features = {k: kinds[type(v)](v) for k, v in record.items() if v is not None}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def read_split(folder, split):
    """The rows of a split: dicts of single values, None where missing."""
    import tensorflow as tf

    files = sorted(map(str, Path(folder, f"Split-{split}").glob("*.gz")))
    found = []
    for record in tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        found.append({name: value_of(feature) for name, feature in sorted(features.items())})
    return found


def value_of(feature):
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else []
    if not values:
        return None
    return values[0].decode() if kind == "bytes_list" else values[0]


def read_all(folder):
    return sorted((r for s in SPLITS for r in read_split(folder, s)), key=str)


def make(path, folder, label=None, **data):
    """Ingests a file in this process."""
    return ingest_data(DataConfig(path=str(path), **data), label or LabelConfig(column="y"), str(folder))
