"""Every lesson runs from its first cell to its last, and is kept with clean outputs."""

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra notebooks is not installed")
from nbclient import NotebookClient  # noqa: E402
from nbformat import NotebookNode  # noqa: E402

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))

# What the cell tagged "parameters" says in a test.
SMALL = {
    "01_captions_to_verdict": "STEPS = 75\nSAMPLES = 512",
    "02_typing_families": "K = 3",
}
LARGEST = 1_000_000

lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def read(path: Path) -> NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_lessons_and_each_has_a_small_size():
    assert {path.stem for path in LESSONS} == SMALL.keys()


@lessons
def test_the_lesson_runs(path: Path, tmp_path: Path):
    notebook = read(path)
    (parameters,) = (
        cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", [])
    )
    names = set(re.findall(r"^(\w+) =", parameters.source, re.MULTILINE))
    assert names == set(re.findall(r"^(\w+) =", SMALL[path.stem], re.MULTILINE))
    parameters.source = SMALL[path.stem]
    # A lesson writes beside its folder, so it runs in one of its own.
    folder = tmp_path / "notebooks"
    folder.mkdir()
    client = NotebookClient(
        notebook,
        timeout=240,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    assert all(cell.execution_count for cell in code_cells(notebook))
    assert_clean(notebook)


@lessons
def test_the_outputs_that_are_kept_are_whole_and_clean(path: Path):
    notebook = read(path)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1)), "executed once, in order"
    silent = [
        cell.source
        for cell in code_cells(notebook)
        if not cell.outputs and "parameters" not in cell.metadata.get("tags", [])
    ]
    assert silent == []
    assert not any(cell.metadata.get("execution") for cell in notebook.cells), "no timings"
    assert_clean(notebook)
    assert path.stat().st_size < LARGEST


@lessons
def test_the_lesson_reads_well(path: Path):
    """A promise first, pictures, and exercises whose solutions are folded."""
    notebook = read(path)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    words = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert words.count("<details>") == words.count("</details>") >= 2
    assert "## Exercises" in words
    pictures = [
        output
        for cell in code_cells(notebook)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 4


def assert_clean(notebook: NotebookNode) -> None:
    """No error, nothing on stderr, and no path of the machine that ran it."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            data = output.get("data", {"text/plain": output.get("text", "")})
            for kind, text in data.items():
                if kind.startswith("text/"):
                    assert not re.search(r"(?<![\w<.:/])/(?:\w[\w.-]*/)+\w", text), text
