"""The ingest benchmark's figures, and its comparison on a few rows."""

import zipfile

from pipeline.bench import ingest


def measured(same=True):
    return {"rows": 1000, "seconds": {"ours": [1.0, 2.0], "csv_example_gen": [20.0, 24.0]}, "same": same}


def test_ratios_are_of_rounds():
    result = ingest.figures(measured())
    assert result["ratio"] == {"median": 16.0, "min": 12.0, "max": 20.0}
    assert result["rows_per_second"]["ours"]["max"] == 1000
    assert result["met"] and not ingest.figures(measured(same=False))["met"]


def test_other_examples_are_noticed_and_the_same_ones_too(tmp_path):
    from pipeline.bench import ingest_rounds

    header = "hour,delay,carrier\n"
    rows = [f'{i % 24},{"NA" if i % 7 == 0 else i / 4},"c,{i % 3}"\n' for i in range(300)]
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        archive.writestr("f.csv", header + "".join(rows))
    folder = tmp_path / "work"
    folder.mkdir()
    job = {"data": str(tmp_path / "f.zip"), "rows": 0, "rounds": 1, "folder": str(folder), "warm_up_rows": 0}
    result = ingest_rounds.run(job)
    assert result["same"] and result["rows"] == 300
    assert sum(ingest_rounds._examples(folder / "ours").values()) == 300
    first = next((folder / "ours").glob("Split-*/*.gz"))
    first.unlink()
    assert ingest_rounds._examples(folder / "ours") != ingest_rounds._examples(folder / "csv_example_gen")


def test_the_command_prints_the_verdict(monkeypatch, capsys):
    class Outcome:
        result = measured()

    monkeypatch.setattr(ingest.subprocesses, "run", lambda *_, **__: Outcome)
    assert ingest.main() == 0
    assert "ratio 16.0 (12.0 to 20.0), target 10; the examples are the same" in capsys.readouterr().out
