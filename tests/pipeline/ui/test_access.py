"""Who may ask, and for what."""

import asyncio
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from taxiway.components.errors import UsageError
from taxiway.components.serving.server.request_origins import OriginRules
from taxiway.components.serving.versions.directory import Trial
from taxiway.pipeline.ui.access import BODY_BYTES, AccessGuard, choose_return
from taxiway.pipeline.ui.roots import name_roots
from taxiway.pipeline.ui.server import read_token
from tests.pipeline.ui.pages import client, form_of

TOKEN = "a-token-that-is-long-enough"


def live(root):
    return root.serving.find_live().number


def confirmed(browser, root, **changes):
    """The form of a rollback, filled in."""
    page = browser.get("/root/models/taxi/confirm?action=rollback")
    assert page.status_code == 200
    return {**form_of(page), "reason": "too many errors", "user": "ada", **changes}


def test_a_rollback_is_made_by_its_form_and_recorded_with_who_and_why(two_versions):
    browser, before = client(two_versions.path), live(two_versions)
    answer = browser.post("/root/models/taxi/act", data=confirmed(browser, two_versions))
    assert answer.status_code == 303 and answer.headers["location"] == "/root/models/taxi?done=rollback#actions"
    assert live(two_versions) > before
    page = browser.get(answer.headers["location"]).text
    assert f"version {live(two_versions)} went live in place of {before}" in page
    assert "too many errors" in page and "<td>ada</td>" in page and "<td>ui</td>" in page and "quarantined" in page
    (made,) = two_versions.mlmd.get_executions_by_type("taxiway.Rollback")
    assert made.custom_properties["user"].string_value == "ada"
    assert made.custom_properties["reason"].string_value == "too many errors"


@pytest.mark.parametrize(
    ("changes", "headers", "status"),
    [
        ({"form_key": ""}, {}, 403),
        ({"form_key": "of another start"}, {}, 403),
        ({}, {"host": "evil.example"}, 403),
        ({}, {"origin": "http://evil.example"}, 403),
        ({}, {"origin": "null"}, 403),
        ({}, {"sec-fetch-site": "cross-site"}, 403),
        ({}, {"content-type": "text/plain"}, 415),
        ({"reason": "x" * BODY_BYTES}, {}, 413),
        ({"reason": " "}, {}, 409),
        ({"user": ""}, {}, 409),
        ({"seen_live": "1"}, {}, 409),
        ({"action": "delete"}, {}, 404),
        ({"version": "-1", "action": "push"}, {}, 404),
        ({"version": "77", "action": "push"}, {}, 409),
    ],
)
def test_an_action_that_is_not_as_it_must_be_changes_nothing(kept_versions, changes, headers, status):
    browser, before = client(kept_versions.path), live(kept_versions)
    form = confirmed(browser, kept_versions, **changes)
    assert browser.post("/root/models/taxi/act", data=form, headers=headers).status_code == status
    assert live(kept_versions) == before and not kept_versions.serving.load_state().quarantined


def test_the_same_form_twice_at_once_rolls_back_once(two_versions):
    """A double click: the second one was decided while another version was live."""
    two_versions.run("third", span=1)  # so that there is something to roll back to twice
    browser = client(two_versions.path)
    form = confirmed(browser, two_versions)
    with ThreadPoolExecutor(2) as pool:
        with two_versions.serving.hold_lock():  # both get as far as the lock before either acts
            clicks = [pool.submit(browser.post, "/root/models/taxi/act", data=form) for _ in range(2)]
            wait(clicks, timeout=1.5)
        answers = [click.result() for click in clicks]
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert len(two_versions.serving.load_state().quarantined) == 1
    assert len(two_versions.serving.list_versions()) == 4
    assert len(two_versions.mlmd.get_executions_by_type("taxiway.Rollback")) == 1
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "Meanwhile version" in refused.text and "Nothing was changed" in refused.text


def test_what_fails_after_the_version_is_live_hides_neither_that_nor_its_record(two_versions):
    browser, before = client(two_versions.path), live(two_versions)
    form = confirmed(browser, two_versions)
    (two_versions.serving.base / ".taxiway" / "actions.jsonl").mkdir(parents=True)
    answer = browser.post("/root/models/taxi/act", data=form)
    assert answer.status_code == 200
    assert f"Live: version {live(two_versions)}" in answer.text and "actions.jsonl" in answer.text
    assert live(two_versions) > before
    assert len(two_versions.mlmd.get_executions_by_type("taxiway.Rollback")) == 1


def test_the_confirmation_says_what_goes_live(two_versions):
    versions = two_versions.serving.list_versions()
    page = client(two_versions.path).get("/root/models/taxi/confirm?action=rollback")
    assert form_of(page)["version"] == str(versions[0].number)
    assert str(versions[0].number) in page.text and str(versions[1].number) in page.text


def list_files(root):
    return {path: path.stat().st_mtime_ns for path in root.path.rglob("*") if path.is_file() and path.name != "lock"}


def test_nothing_is_done_by_get(two_versions):
    browser, before = client(two_versions.path), list_files(two_versions)
    key = form_of(browser.get("/root/models/taxi/confirm?action=rollback"))["form_key"]
    assert browser.get(f"/root/models/taxi/act?action=rollback&form_key={key}&reason=x&user=x").status_code == 405
    for path in ("", "/runs", "/models", "/models/taxi", "/lineage", "/models/taxi/confirm?action=rollback"):
        assert browser.get(f"/root{path}").status_code == 200, path
    assert browser.request("DELETE", "/root/models/taxi").status_code == 405
    assert list_files(two_versions) == before


def test_a_page_of_another_name_is_not_answered(shown_root):
    browser = client(shown_root.path)
    assert browser.get("/", headers={"host": "rebound.example"}).status_code == 403
    assert browser.get("/", headers={"host": "localhost:8600"}).status_code == 303
    assert (
        client(shown_root.path, allowed_hosts=["ml.example"]).get("/", headers={"host": "ml.example"}).status_code
        == 303
    )


def test_a_token_is_asked_for_and_remembered(shown_root):
    browser = client(shown_root.path, token=TOKEN)
    answer = browser.get("/my-root/runs?state=live")
    assert answer.status_code == 303 and answer.headers["location"] == "/login?next=%2Fmy-root%2Fruns%3Fstate%3Dlive"
    assert browser.post("/my-root/models/taxi/act", data={}).status_code == 401
    form = form_of(browser.get(answer.headers["location"]))
    assert browser.post("/login", data={**form, "token": "wrong"}).status_code == 401
    assert browser.get("/my-root/runs").status_code == 303
    given = browser.post("/login", data={**form, "token": TOKEN})
    assert given.status_code == 303 and given.headers["location"] == "/my-root/runs?state=live"
    cookie = given.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
    assert browser.get("/my-root/runs").status_code == 200
    other = client(shown_root.path, token=TOKEN)
    assert other.get("/my-root/runs", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert other.get("/my-root/runs", headers={"authorization": "Bearer x"}).status_code == 303


def ask_guard(path, host, token=TOKEN, **headers):
    """The status of a request that goes to the guard as it is, past the checks of a client and of uvicorn."""
    guard = AccessGuard(PlainTextResponse("let in"), OriginRules("127.0.0.1"), token)
    sent = [(name.encode(), value.encode("latin-1")) for name, value in {"host": host, **headers}.items()]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": sent}
    statuses = []

    async def send(message):
        statuses.append(message.get("status"))

    asyncio.run(guard(scope, None, send))
    return statuses[0]


@pytest.mark.parametrize("host", ["127.0.0.1/login?", "127.0.0.1/login#", "127.0.0.1:1/login?x=", "x/login?@127.0.0.1"])
def test_the_header_host_opens_no_page(host):
    assert ask_guard("/root/runs", host) == 403
    assert ask_guard("/root/runs", "127.0.0.1") == 303
    assert ask_guard("/login", "127.0.0.1") == 200


def test_a_page_is_told_by_what_the_router_goes_by(monkeypatch):
    monkeypatch.setattr(Request, "url", URL("http://127.0.0.1/login"))  # what Starlette 1.0.0 makes of a bad Host
    assert ask_guard("/root/runs", "127.0.0.1") == 303


def test_an_odd_cookie_of_another_program_does_not_end_the_session(shown_root):
    browser = client(shown_root.path, token=TOKEN)
    form = {**form_of(browser.get("/login")), "token": TOKEN}
    cookie = browser.post("/login", data=form).headers["set-cookie"].partition(";")[0]
    for odd in ('state={"a": [1, 2]}', "a[b]=c", "näme=x", "=", "x=a b"):
        browser.cookies.clear()
        headers = {"cookie": f"{odd}; {cookie}".encode("latin-1")}
        assert browser.get("/my-root", headers=headers).status_code == 200, odd


@pytest.mark.parametrize(
    ("wanted", "to"),
    [("/a?b=c", "/a?b=c"), ("//evil", "/"), ("/\\evil", "/"), ("https://evil", "/"), ("", "/"), ("/a\nb", "/")],
)
def test_after_the_token_nobody_is_sent_elsewhere(wanted, to):
    assert choose_return(wanted) == to


def test_a_short_token_is_refused(tmp_path):
    (tmp_path / "token").write_text("short\n")
    with pytest.raises(UsageError, match="5 characters; 16 are needed"):
        read_token(tmp_path / "token")
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(tmp_path / "none")


def test_answers_say_what_a_browser_may_do(shown_root):
    headers = client(shown_root.path).get("/my-root").headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"


def test_a_report_has_an_origin_of_its_own(shown_root):
    answer = client(shown_root.path).get("/my-root/runs/run-live/report.html")
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200 and policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "connect-src" not in policy and answer.headers["x-frame-options"] == "SAMEORIGIN"


@pytest.mark.parametrize(
    "path",
    ["/my-root/runs/..%2F..%2Fmetadata.db/report.html", "/my-root/runs/run-failed/report.html",
     "/static/..%2Fserver.py", "/static/base.html.j2", "/my-root/models/..%2F..%2Fruns", "/other", "/my-root/runs/x"],
)  # fmt: skip
def test_no_other_file_is_served(shown_root, path):
    assert client(shown_root.path).get(path).status_code == 404


def test_a_report_that_is_a_link_is_not_followed(two_versions):
    secret = two_versions.path / "secret.txt"
    secret.write_text("secret")
    (two_versions.path / "reports").mkdir()
    (two_versions.path / "reports" / "first.html").symlink_to(secret)
    assert client(two_versions.path).get("/root/runs/first/report.html").status_code == 404


def test_roots_of_one_name_are_told_apart(tmp_path):
    for name in ("a/root", "b/root", "c/static", "d/ü"):
        (tmp_path / name).mkdir(parents=True)
    named = name_roots(tmp_path / name for name in ("a/root", "b/root", "c/static", "d/ü", "a/root"))
    assert list(named) == ["root", "root-2", "static-2", "root-3"]
    assert name_roots([tmp_path / "none" / "yet"])["yet"].is_empty, "its first run makes it"


def test_what_is_no_folder_is_no_root(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="cannot be shown: Not a directory"):
            name_roots([path])
    with pytest.raises(UsageError, match="is no folder of a file system"):
        name_roots(["s3://bucket/root"])


def change_label(browser, query, **fields):
    """Opens a confirmation and sends its form."""
    page = browser.get(f"/root/models/taxi/confirm?{query}")
    assert page.status_code == 200, page.text
    return browser.post("/root/models/taxi/act", data={**form_of(page), "user": "ada", "reason": "why not", **fields})


def test_a_label_is_taken_away_by_its_form_and_recorded(two_versions):
    browser, before = client(two_versions.path), live(two_versions)
    for label in ("stable", "a-b_c"):
        assert change_label(browser, f"action=promote&version={before}", label=label).status_code == 303
    page = browser.get("/root/models/taxi").text
    assert "Remove stable…" in page and 'href="/root/models/taxi/confirm?action=demote&amp;label=stable"' in page
    asked = browser.get("/root/models/taxi/confirm?action=demote&label=stable")
    assert "Clients that ask for stable" in asked.text and form_of(asked)["version"] == str(before)
    assert two_versions.serving.load_state().labels == {"stable": before, "a-b_c": before}, "nothing is done by GET"
    assert change_label(browser, "action=demote&label=stable", reason=" ").status_code == 409
    assert change_label(browser, "action=demote&label=stable").status_code == 303
    assert two_versions.serving.load_state().labels == {"a-b_c": before} and live(two_versions) == before
    page = browser.get("/root/models/taxi?done=demote").text
    assert f"stable: taken from version {before}" in page and "why not" in page and "Remove stable" not in page
    gone = browser.post("/root/models/taxi/act", data={**form_of(asked), "user": "ada", "reason": "again"})
    assert gone.status_code == 409 and "No version has the label" in gone.text


def test_a_label_that_moved_meanwhile_is_not_taken_away(two_versions):
    first, second = (version.number for version in two_versions.serving.list_versions())
    browser = client(two_versions.path)
    two_versions.serving.promote(first, "stable")
    asked = form_of(browser.get("/root/models/taxi/confirm?action=demote&label=stable"))
    two_versions.serving.promote(second, "stable")
    answer = browser.post("/root/models/taxi/act", data={**asked, "user": "ada", "reason": "old"})
    assert answer.status_code == 409 and f"Meanwhile version {second} has the label" in answer.text
    assert "<form" not in answer.text and two_versions.serving.load_state().labels == {"stable": second}


@pytest.mark.parametrize("action", ["promote-candidate", "withdraw"])
def test_the_candidate_goes_live_or_back(two_versions, tmp_path, action):
    browser, before = client(two_versions.path), live(two_versions)
    assert "No version is tried" in browser.get(f"/root/models/taxi/confirm?action={action}").text
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"another")
    two_versions.serving.push(folder, {"run_id": "second"}, trial=Trial("canary", (0.25, 1.0)))
    tried = two_versions.serving.load_state().candidate.version
    page = browser.get("/root/models/taxi").text
    assert "canary 25.0 %" in page and "action=withdraw" in page and "action=promote-candidate" in page
    assert f"action=push&amp;version={tried}" not in page and "Remove canary" not in page
    asked = browser.get(f"/root/models/taxi/confirm?action={action}")
    form = {**form_of(asked), "user": "ada", "reason": "the verdict"}
    assert form["version"] == str(tried) and str(tried) in asked.text
    assert browser.post("/root/models/taxi/act", data={**form, "version": str(before)}).status_code == 409
    assert two_versions.serving.load_state().candidate is not None
    assert browser.post("/root/models/taxi/act", data=form).status_code == 303
    assert two_versions.serving.load_state().candidate is None
    assert (live(two_versions) > before) == (action == "promote-candidate")
    page = browser.get("/root/models/taxi").text
    assert ("the candidate went live" if action == "promote-candidate" else "was taken back") in page


def test_the_actions_are_called_as_the_commands_are(two_versions):
    page = client(two_versions.path).get("/root/models/taxi").text
    assert all(f">{words}…</a>" in page for words in ("Push again", "Roll back", "Promote"))
