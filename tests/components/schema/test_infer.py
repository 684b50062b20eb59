"""Inference of the first schema through the real TFDV."""

import pandas as pd
import pytest


@pytest.fixture(scope="module")
def statistics():
    import tensorflow_data_validation as tfdv

    train = pd.DataFrame({"fare": [1.0, 2.0, 3.0, 4.0], "company": ["a", "b", "a", "b"], "y": [0, 1, 0, 1]})
    other = pd.DataFrame({"fare": [1.0, None], "company": ["a", "only in eval"], "y": [0, 1]})
    return {
        "train": tfdv.generate_statistics_from_dataframe(train),
        "eval": tfdv.generate_statistics_from_dataframe(other),
    }


def test_the_first_run_finds_nothing_against_its_own_splits(statistics):
    import tensorflow_data_validation as tfdv

    from taxiway.components.schema import curated

    inferred = curated.infer_schema(statistics)
    for split in statistics.values():
        assert not tfdv.validate_statistics(split, inferred).anomaly_info


def test_a_few_unknown_words_pass_many_do_not(statistics):
    import tensorflow_data_validation as tfdv

    from taxiway.components.schema import curated

    inferred = curated.infer_schema(statistics)

    def anomalies(unknown):
        words = ["a"] * (100 - unknown) + ["new"] * unknown
        frame = pd.DataFrame({"fare": [1.0] * 100, "company": words, "y": [0, 1] * 50})
        return tfdv.validate_statistics(tfdv.generate_statistics_from_dataframe(frame), inferred).anomaly_info

    assert not anomalies(4)
    assert list(anomalies(30)) == ["company"]


def test_the_class_order_is_fixed_in_the_schema(statistics):
    from taxiway.components import schema_file
    from taxiway.components.schema import curated

    inferred = curated.infer_schema(statistics, "y", ["no", "yes"])
    again = curated.parse_schema(curated.format_schema(inferred), "x")
    assert schema_file.read_class_labels(again, "y") == ("no", "yes")
    assert schema_file.read_class_labels(again, "fare") == ()
