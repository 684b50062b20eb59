"""Kept training statistics: which file later data is compared with. No TFX, no TensorFlow."""

import json

import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from taxiway.components.errors import DataError
from taxiway.components.gates import reference_statistics


def statistics(rows):
    dataset = statistics_pb2.DatasetFeatureStatistics(num_examples=rows)
    return statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset])


def rows_of(reference):
    return reference.read_statistics().datasets[0].num_examples


@pytest.fixture
def folder(tmp_path):
    for span in (1, 2, 10):
        reference_statistics.keep_statistics(
            tmp_path / "kept", reference_statistics.DataId(span, f"content{span}"), statistics(span)
        )
    return tmp_path / "kept"


def live(tmp_path, **provenance):
    version = tmp_path / "serving" / "3" / "assets.extra"
    version.mkdir(parents=True)
    (version / "provenance.json").write_text(json.dumps({"version": 1, **provenance}))
    return tmp_path / "serving"


def test_the_previous_span_is_the_nearest_below(folder):
    assert rows_of(reference_statistics.find_previous_reference(folder, 10)) == 2
    assert rows_of(reference_statistics.find_previous_reference(folder, 99)) == 10
    assert reference_statistics.find_previous_reference(folder, 10).what == "span 2"


@pytest.mark.parametrize("name", ["copy.pb", "old-content1.pb", "1.pb", "-1-content.pb"])
def test_a_file_that_the_gate_did_not_keep_is_left_out(folder, name):
    (folder / name).write_bytes(statistics(77).SerializeToString())
    assert rows_of(reference_statistics.find_previous_reference(folder, 3)) == 2
    assert reference_statistics.find_previous_reference(folder, 1).file is None


def test_the_first_span_has_nothing_before_it(folder):
    first = reference_statistics.find_previous_reference(folder, 1)
    assert first.file is None
    assert "no span before 1" in first.why
    assert first.hash_content() == ""


def test_of_two_contents_of_one_span_the_one_that_passed_last(folder):
    import os

    newer = reference_statistics.keep_statistics(
        folder, reference_statistics.DataId(2, "a mended file"), statistics(22)
    )
    os.utime(newer, ns=(2**62, 2**62))
    assert rows_of(reference_statistics.find_previous_reference(folder, 3)) == 22


def test_the_live_version_names_its_data(folder, tmp_path):
    serving = live(tmp_path, data={"span": 2, "input_fingerprint": "content2"})
    reference = reference_statistics.find_live_reference(folder, serving)
    assert rows_of(reference) == 2
    assert reference.what == "the training data of the live version 3"
    assert len(reference.hash_content()) == 64


def test_why_there_are_none_of_the_live_version(folder, tmp_path):
    assert reference_statistics.find_live_reference(folder, tmp_path / "serving").why == "nothing is live yet"
    serving = live(tmp_path)
    assert "names no data" in reference_statistics.find_live_reference(folder, serving).why
    provenance = {"version": 1, "data": {"input_fingerprint": "unknown"}}
    (serving / "3" / "assets.extra" / "provenance.json").write_text(json.dumps(provenance))
    assert "holds no statistics of it" in reference_statistics.find_live_reference(folder, serving).why


def test_a_damaged_file_says_what_to_do(folder):
    (folder / "10-content10.pb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(DataError, match=r"span 10 in .* cannot be read") as error:
        reference_statistics.find_previous_reference(folder, 11).read_statistics()
    assert "Delete the file" in error.value.remedy


def test_no_half_written_file_is_seen(folder):
    assert sorted(file.name for file in folder.iterdir()) == [
        "1-content1.pb",
        "10-content10.pb",
        "2-content2.pb",
    ]
