"""Parameters of a run reach the settings of their nodes."""

from __future__ import annotations

import json

from taxiway.pipeline.kubeflow.parameters import ROOT_TOKEN, RUN_PARAMETERS, apply_parameters, find_compiled_value


def by_name(name):
    return next(parameter for parameter in RUN_PARAMETERS if parameter.name == name)


def test_a_runs_parameters_replace_what_was_compiled_and_vanish():
    properties = {
        "custom_config": json.dumps({"training": {"max_steps": 0, "epochs": 6}, "checkpoint_root": f"{ROOT_TOKEN}/c"}),
        "label": "tips",
        "force": 0,
        "taxiway_root": "/mnt/data/",
        "taxiway_max_steps": 20.0,
    }
    applied = apply_parameters(properties)
    assert set(applied) == {"custom_config", "label", "force"}
    assert json.loads(applied["custom_config"]) == {
        "training": {"max_steps": 20, "epochs": 6},
        "checkpoint_root": "/mnt/data/c",
    }
    assert "20.0" not in applied["custom_config"]  # the backend's numbers are floats, the section's is an int


def test_the_fingerprint_changes_nothing_but_the_cache_key():
    properties = {"data": '{"path": "/data/x.csv"}', "taxiway_data_fingerprint": "abc"}
    assert apply_parameters(properties) == {"data": '{"path": "/data/x.csv"}'}


def test_defaults_are_what_was_compiled():
    properties = {"data": '{"path": "gs://b/x.csv", "spans": "3"}'}
    assert find_compiled_value(by_name("data_path"), properties) == "gs://b/x.csv"
    assert find_compiled_value(by_name("span"), properties) == "3"
    assert find_compiled_value(by_name("epochs"), properties) is None


def test_a_parameter_that_is_null_was_not_given():
    properties = {"data": '{"path": "/data/x.csv", "spans": "latest"}', "taxiway_span": None, "taxiway_root": None}
    assert apply_parameters(properties) == {"data": '{"path": "/data/x.csv", "spans": "latest"}'}
