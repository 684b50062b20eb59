from taxiway.pipeline.tracking.nested_settings import flatten_settings, list_changes


def test_sections_become_dotted_names():
    settings = {"model": {"units": [8, 4], "name": {"a": None}}, "empty": {}, "": {"x": 1}, ".hidden": 2, 3: {"y": 4}}
    assert flatten_settings(settings) == {
        "model.units": [8, 4],
        "model.name.a": None,
        "empty": {},
        "x": 1,
        ".hidden": 2,
        "3.y": 4,
    }
    assert flatten_settings({}) == {"": {}}


def test_only_what_differs_is_listed_by_name():
    before = {"b": 1, "a": [1, 2], "same": {"x": 1}, "gone": 0, "on": 1, "off": 0}
    after = {"b": 2, "a": [2, 1], "same": {"x": 1}, "new": False, "on": True, "off": 0.0}
    assert list_changes(before, after) == [
        ("a", [1, 2], [2, 1]),
        ("b", 1, 2),
        ("gone", 0, None),
        ("new", None, False),
        ("on", 1, True),
    ]
