"""The ingest benchmark's figures, and its comparison on a few rows."""

import zipfile

from taxiway.pipeline.bench import ingest


def measured(same=True):
    return {"rows": 1000, "seconds": {"ours": [1.0, 2.0], "csv_example_gen": [20.0, 24.0]}, "same": same}


def test_ratios_are_of_rounds():
    result = ingest.compute_figures(measured())
    assert result["ratio"] == {"median": 16.0, "min": 12.0, "max": 20.0}
    assert result["rows_per_second"]["ours"]["max"] == 1000
    assert result["met"] and not ingest.compute_figures(measured(same=False))["met"]


def test_other_examples_are_noticed_and_the_same_ones_too(tmp_path):
    from taxiway.pipeline.bench.children import ingest_rounds

    header = "hour,delay,carrier\n"
    rows = [f'{i % 24},{"NA" if i % 7 == 0 else i / 4},"c,{i % 3}"\n' for i in range(300)]
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        archive.writestr("f.csv", header + "".join(rows))
    folder = tmp_path / "work"
    folder.mkdir()
    job = {"data": str(tmp_path / "f.zip"), "rows": 0, "rounds": 1, "folder": str(folder), "warm_up_rows": 0}
    result = ingest_rounds.run_rounds(job)
    assert result["same"] and result["rows"] == 300
    assert sum(ingest_rounds._count_examples(folder / "ours").values()) == 300
    first = next((folder / "ours").glob("Split-*/*.gz"))
    first.unlink()
    assert ingest_rounds._count_examples(folder / "ours") != ingest_rounds._count_examples(folder / "csv_example_gen")


def test_the_command_prints_the_verdict(monkeypatch, capsys):
    outcome = ingest.subprocesses.ChildOutcome(measured(), 0, "", "", 1.0)
    monkeypatch.setattr(ingest.subprocesses, "run_module", lambda *_, **__: outcome)
    assert ingest.main() == 0
    assert "ratio 16.0 (12.0 to 20.0), target 10; the examples are the same" in capsys.readouterr().out
