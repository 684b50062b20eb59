"""A canary from its push to its end: the embedded server, its request log, the monitor's verdicts, `promote --auto`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from taxiway.components.errors import UsageError
from taxiway.components.serving.config import REQUEST_LOG_FOLDER, ServingConfig
from taxiway.components.serving.request_log.logged_requests import ReadResult, find_log_files, read_requests
from taxiway.components.serving.requests.clients import GrpcClient
from taxiway.components.serving.requests.from_examples import RequestBuilder
from taxiway.components.serving.server.embedded import EmbeddedServer, ServerOptions
from taxiway.components.serving.versions.directory import ServingDirectory
from taxiway.pipeline.monitoring.candidate import read_candidate_verdict
from taxiway.pipeline.monitoring.monitor import WINDOW_HOURS, MonitorRequest, monitor_version
from taxiway.pipeline.root import Root
from taxiway.pipeline.serving.rollout import RolloutDecision, advance_canary
from tests.components.processes.test_subprocesses import until
from tests.components.serving import models
from tests.pipeline.monitoring.served import LOGGED, make_rows, push_version, wait_until_ready

CANARY = ServingConfig.model_validate(
    {"request_log": LOGGED.model_dump(), "promotion": "canary", "rollout": {"canary_shares": [0.5, 1.0]}}
)


class Trial:
    """A served root, and one round of requests, verdict and decision on its canary."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.seed = folder, Root.at(folder / "root"), 30
        self.root.path.mkdir()
        self.first = models.write_model(folder / "live")
        self.live = push_version(self.root, self.first, folder / "live-validated", CANARY)
        self.directory = ServingDirectory(self.root.serving / "taxi")
        self.server: EmbeddedServer

    def push(self, name: str, offset: float) -> int:
        """A candidate that answers the live model's scores and `offset`; its promise is the live model's."""
        model = models.write_model(self.folder / name, offset=offset)
        return push_version(self.root, model, self.folder / f"{name}-validated", CANARY)

    def judge(self) -> RolloutDecision:
        """Requests, the monitor's verdict on them, and what it makes of the canary.

        The requests begin a second after the last step, since the log counts seconds. At the first share the window is
        the usual one, which begins with the trial; at a later one as long as since the last step.
        """
        candidate = self.directory.load_state().candidate
        assert candidate is not None
        known = self.server.repository
        assert until(lambda: known._candidate == candidate and known._is_available(candidate.version), 60)
        start = int(time.time()) + 2
        assert until(lambda: time.time() >= start, 60)
        made = [models.example(row) for row in make_rows(900, self.seed)]
        self.seed += 1
        builder = RequestBuilder.from_examples(made, self.first, "tip")
        client = GrpcClient(f"127.0.0.1:{self.server.grpc_port}", "taxi")
        for place in range(0, len(made), 5):
            client.predict("serving_default", builder.build_request("serving_default", slice(place, place + 5)))
        live = self.directory.find_live()
        assert live and until(lambda: self.count_logged((live.number, candidate.version), start) == 180, 60)
        end = time.time()  # later than the last record, and taken once: half a second before the first is in the window
        hours = WINDOW_HOURS if len(candidate.steps) == 1 else (end - start + 0.5) / 3600
        request = MonitorRequest(self.root, model_version=candidate.version, hours=hours, until=end, standing=True)
        assert monitor_version(request).verdict.window_start >= candidate.steps[0].time
        return advance_canary(self.root.path, None, read_candidate_verdict(self.root.path, None))

    def count_logged(self, numbers: Iterable[int], start: float) -> int:
        """The log is written in the background."""
        files = find_log_files([self.directory.base / REQUEST_LOG_FOLDER])
        reads = (read_requests(files, "taxi", number, start, start + 600, ReadResult()) for number in numbers)
        return sum(1 for requests in reads for _ in requests)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    made = Trial(tmp_path_factory.mktemp("canary"))
    options = ServerOptions(rest_port=0, grpc_port=0, poll_seconds=0.05, request_log=LOGGED.model_dump_json())
    with EmbeddedServer("taxi", made.directory.base, options) as made.server:
        wait_until_ready(f"http://127.0.0.1:{made.server.rest_port}/readyz")
        yield made


def test_right_verdicts_step_a_canary_up_and_make_it_live(trial: Trial) -> None:
    number = trial.push("good", 0.01)
    decision = trial.judge()
    assert (decision.change, decision.candidate, decision.share) == ("stepped", number, 1.0), decision
    decision = trial.judge()
    assert (decision.change, decision.candidate) == ("promoted", number), decision
    live = trial.directory.find_live()
    assert live and live.number == decision.version and live.provenance["promoted_from"] == number


def test_a_wrong_verdict_takes_a_canary_back(trial: Trial) -> None:
    before = trial.directory.find_live()
    began = time.time()
    number = trial.push("bad", 0.2)
    with pytest.raises(UsageError, match="the window ends before that"):
        monitor_version(MonitorRequest(trial.root, model_version=number, until=began))
    decision = trial.judge()
    assert (decision.change, decision.candidate) == ("withdrawn", number), decision
    assert trial.directory.find_live() == before and trial.directory.get_version(number).quarantine
    assert "(verdict: probability of 1: " in decision.reason
