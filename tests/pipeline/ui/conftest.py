import pytest

from taxiway.pipeline import report
from taxiway.pipeline.root import Root as Place
from tests.pipeline.lineage.stores import memory_folder
from tests.pipeline.report import browser, roots


@pytest.fixture(scope="package")
def page():
    """A tab of one headless Chromium."""
    if browser.CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with browser.chromium() as made:
        yield made


@pytest.fixture(scope="package")
def shown_root():
    """Runs `run-live`, `run-blocked`, `run-failed`; one version; the report of the live run. Nobody changes it."""
    with memory_folder() as folder:
        place = Place.at(roots.make(folder / "my root").path)
        report.write_report(place, "run-live")
        yield place


def make_two_versions(folder):
    root = roots.Root(folder / "root")
    for run_id in ("first", "second"):
        root.run(run_id, span=1)
        roots.write(root, roots.live(root.serving.find_live().number).model_copy(update={"run_id": run_id}))
    return root


@pytest.fixture
def two_versions():
    """A root with two versions of `taxi`, to act on."""
    with memory_folder() as folder:
        yield make_two_versions(folder)


@pytest.fixture(scope="module")
def kept_versions():
    """The same for tests in which every action is refused."""
    with memory_folder() as folder:
        yield make_two_versions(folder)
