"""What is copied into the folder that the pods see."""

from __future__ import annotations

from pathlib import Path

from taxiway.components.training.distribution.kubernetes.shared_folder import FOLDER, remove_copies, stage_job
from taxiway.components.training.job import TrainingJob, resolve_files


def test_shards_of_two_artifacts_with_equal_names_stay_apart_and_in_order(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / "in" / f"{number:02d}").mkdir(parents=True)
        (tmp_path / "in" / f"{number:02d}" / "rows-00000").write_text(str(number))
    graph = tmp_path / "graph"
    graph.mkdir()
    patterns = tuple(f"{tmp_path}/in/{number:02d}/*" for number in range(12))
    job = TrainingJob(
        transform_graph=str(graph), train_files=patterns, eval_files=patterns[:1], label="y", task="binary"
    )
    staged = stage_job(job, tmp_path / FOLDER)
    copies = resolve_files(staged.train_files, "train")
    assert [Path(file).read_text() for file in copies] == [str(number) for number in range(12)]
    assert all(Path(file).is_relative_to(tmp_path / FOLDER) for file in copies)
    remove_copies(tmp_path / FOLDER)
    assert not list((tmp_path / FOLDER).iterdir())
