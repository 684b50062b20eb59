"""Configurations that would hang, overflow or judge nothing: a plain error within a second each."""

import pytest

from taxiway.components.errors import ConfigError
from taxiway.pipeline import config

GOOD = "name: m\ndata: {path: a.csv}\nlabel: {column: y}\n"
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))

TEXTS = {
    "aliases without end": GOOD + LAUGHS,
    "a recursive alias": GOOD + "data: &a {path: *a}\n",
    "a recursive list": "&a [*a]",
    "merged without end": GOOD + "x: &a {b: 1}\ny: &b {<<: *a}\nz: {<<: *b}\n",
    "many aliases": GOOD + "x: &a [1]\ny: [" + "*a, " * 5000 + "]\n",
    "3,000 brackets": GOOD + "x: " + "[" * 3000,
    "3,000 closed brackets": GOOD + "x: " + "[" * 3000 + "]" * 3000,
    "3,000 braces": GOOD + "x: " + "{a: " * 3000 + "}" * 3000,
    "3,000 dashes": "- " * 3000 + "a",
    "deep indentation": "".join("\n" + " " * i + "k:" for i in range(1000)),
    "5,000 digits": GOOD + "training: {epochs: " + "9" * 5000 + "}\n",
    "5,000 hex digits": GOOD + "training: {epochs: 0x" + "f" * 5000 + "}\n",
    "sexagesimals": GOOD + "training: {epochs: " + "1:" * 3000 + "1}\n",
    "a key given twice": GOOD + "name: n\n",
    "a key given twice inside": GOOD + "training: {epochs: 1, epochs: 2}\n",
    "inf": GOOD + "serving: {max_output_error: .inf}\n",
    "inf in words": GOOD + "serving: {max_output_error: inf}\n",
    "1e999": GOOD + "serving: {max_output_error: 1e999}\n",
    "nan": GOOD + "gates: {quality: {min: .nan}}\n",
    "nan in words": GOOD + "serving: {max_output_error: nan}\n",
    "nan in a list": GOOD + "serving: {warmup_batch_sizes: [.nan]}\n",
    "a date of month 13": GOOD + "x: 2020-13-45\n",
    "a Python object": GOOD + "x: !!python/object/apply:os.system [id]\n",
    "a list as a key": GOOD + "? [a]\n: b\n",
    "NUL": GOOD + "x: \0\n",
    "2 MiB": GOOD + "# " + "x" * (2 << 20),
    "two documents": GOOD + "---\n" + GOOD,
}


def load_refused(tmp_path, text, overrides=()):
    """Within the test's own time-out, which what expands without end would pass."""
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        config.load_config(tmp_path / "c.yaml", overrides)
    assert len(str(raised.value)) < 3000
    return str(raised.value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_hostile_configuration_is_refused_at_once(tmp_path, text):
    load_refused(tmp_path, text)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("value", ["nan", ".nan", "inf", "-.inf", "1e999", "9" * 5000, "[" * 3000, "&a [*a]"])
def test_the_same_for_set(tmp_path, value):
    load_refused(tmp_path, GOOD, [f"serving.max_output_error={value}"])


def test_an_alias_is_taken_where_it_is_plain(tmp_path):
    (tmp_path / "c.yaml").write_text(
        GOOD.replace("a.csv", "a.csv, leave_out: &a [p]") + "features: {leave_out: {p: x}}\n"
    )
    assert config.load_config(tmp_path / "c.yaml").data.leave_out == ("p",)


@pytest.mark.parametrize(
    "address",
    [
        "https://user:hush@host/a.csv",
        "s3://AKIA:hush@bucket/a.csv",
        "postgres://u:hu/hush@host:5432/db",
        "https://host/a.csv?X-Amz-Signature=hush&x=1",
        "https://host/a.csv?a=1&access_token=hush",
        "https://hush@host/a.csv",
    ],
)
def test_an_address_with_a_password_is_refused_and_not_shown(tmp_path, address):
    said = load_refused(tmp_path, f"name: m\ndata: {{path: '{address}'}}\nlabel: {{column: y}}\n")
    assert "hush" not in said and "credentials" in said
    assert "hush" not in load_refused(tmp_path, GOOD, [f"serving.publish_to={address}"])
    assert "hush" not in load_refused(tmp_path, GOOD, [f"{address}"])


def test_a_named_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "c.yaml")
    with pytest.raises(ConfigError, match="named pipe"):
        config.load_config(tmp_path / "c.yaml")
