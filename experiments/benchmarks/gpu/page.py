"""The page of the GPU benchmark: a section a machine, a table a part, a figure of the loss."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from experiments.figures.style import save, style
from experiments.markdown import markdown

HEAD = """# On a GPU

Every figure here comes from one command, `make gpu` (`smartclip bench gpu`), which runs each part
in a process of its own and stops it after one to three minutes. Times are medians of calls in
turns, of ours and of the reference, in one process. `--pretend` runs every part at toy size on a
CPU.

**Without a network.** Where the Python that runs `make` has a CUDA build of torch (2.9 or later)
with torchvision, that one is used. On a machine with a network, `make wheels` fills `wheels/` with
every other package; `make WHEELS=wheels gpu` installs from that folder and fetches nothing.
"""


def page(machines: list[dict[str, Any]], out: Path, order: list[str]) -> str:
    """Markdown of all machines; figures are written beside the page.

    Args:
        machines: as the JSON holds them.
        out: the page.
        order: of the parts, by name.
    """
    sections = [HEAD.strip()]
    for number, found in enumerate(machines, 1):
        machine = found["machine"]
        pretended = ", pretended at toy size" if found["pretend"] else ""
        sections.append(
            f"## {machine['device']}{pretended}\n\n"
            + ", ".join(f"{key} {value}" for key, value in machine.items() if value)
            + "."
        )
        for name in sorted(found["parts"], key=order.index):
            part = found["parts"][name]
            told = f"### {part['title']}\n\nSeconds: {part['seconds']}; commit {part['commit']}."
            if part["failed"]:
                told += f" **Not finished**: {part['failed']}."
            if part["rows"]:
                told += f"\n\n{_table(part['rows'])}"
            if name == "losses" and (figure := loss_figure(part["rows"])) is not None:
                path = save(figure, out.parent / "pictures" / f"gpu_losses_{number}.png")
                told += f"\n\n![time of the loss by batch size](pictures/{path.name})"
            sections.append(told)
    return "\n\n".join(sections) + "\n"


def _table(rows: list[dict[str, Any]]) -> str:
    """Rows of several kinds under all their columns; what a row has not stays empty."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return markdown([{name: _cell(row.get(name)) for name in columns} for row in rows])


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("|", "\\|")


def loss_figure(rows: list[dict[str, Any]]) -> Figure | None:
    """Milliseconds against B, ours and open_clip's, one panel for each kind of arithmetic."""
    beside = [row for row in rows if row.get("reference") == "open_clip's loss"]
    if not beside:
        return None
    points = [
        {"B": row["B"], "ms": row[column], "loss": loss, "D": row["D"],
         "arithmetic": row["work"].rpartition(", ")[2]}
        for row in beside
        for column, loss in (("ms", "SmartCLIP"), ("reference ms", "open_clip"))
    ]  # fmt: skip
    table = pd.DataFrame(points)
    with style():
        kinds = list(table.arithmetic.unique())
        figure, axes = plt.subplots(
            1, len(kinds), figsize=(3.6 * len(kinds), 3.2), sharey=True, squeeze=False
        )
        for axis, kind in zip(axes[0], kinds, strict=True):
            sns.lineplot(
                table.loc[table.arithmetic == kind], x="B", y="ms", hue="loss", style="D",
                markers=True, palette="colorblind", ax=axis, legend=kind == kinds[0],
            )  # fmt: skip
            axis.set(xscale="log", yscale="log", title=kind, xlabel="batch size B")
            axis.set_ylabel("forward and backward, ms")
        figure.tight_layout()
    return figure
