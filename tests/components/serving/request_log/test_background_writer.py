"""The writer behind the requests: nothing waits, what does not fit is counted, what fails does not end it."""

from __future__ import annotations

import threading

from taxiway.components.serving.request_log.background_writer import BackgroundWriter


def test_a_writer_that_stands_holds_nobody_back_and_drops_what_does_not_fit() -> None:
    go, written = threading.Event(), list[int]()

    def write(item: int) -> None:
        go.wait(30)
        written.append(item)

    writer: BackgroundWriter[int] = BackgroundWriter("test", write, limit_bytes=100)
    taken = [writer.put(item, 40) for item in range(5)]
    assert taken[:2] == [True, True] and not all(taken)
    go.set()
    assert writer.close(10)
    counts = writer.count_records()
    assert written == [item for item, fits in enumerate(taken) if fits]
    assert counts == {"written": len(written), "dropped": 5 - len(written), "failed": 0}


def test_what_fails_is_counted_and_told_once(caplog: object) -> None:
    written = list[int]()

    def write(item: int) -> None:
        if item % 2:
            raise OSError("no space left")
        written.append(item)

    writer: BackgroundWriter[int] = BackgroundWriter("test", write, limit_bytes=1000)
    for item in range(6):
        assert writer.put(item, 1)
    assert writer.close(10)
    assert written == [0, 2, 4]
    assert writer.count_records() == {"written": 3, "dropped": 0, "failed": 3}
    assert [record.message for record in caplog.records] == ["the test log cannot be written: no space left"]  # type: ignore[attr-defined]


def test_after_the_end_nothing_is_taken() -> None:
    ticks = list[int]()
    writer: BackgroundWriter[int] = BackgroundWriter("test", ticks.append, 10, tick=lambda: ticks.append(-1))
    assert writer.close(10)
    assert not writer.put(1, 1)
    assert ticks == [-1] and writer.count_records()["dropped"] == 1
