"""Pure: tables and matrices of confusions as HTML, for `hotline.report`."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

Cell = str | int | float | Markup | None


def matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    counts: Sequence[Sequence[float]],
    *,
    title: str = "",
    row_label: str = "right",
    column_label: str = "given",
) -> Markup:
    """A table of confusions: shaded by the share of its row; the cell where row and column have one name is framed."""
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(column or "–") for column in columns)
    body = Markup("")
    for name, line in zip(rows, counts, strict=True):
        total = sum(line) or 1
        body += Markup('<tr><th scope="row">{}</th>').format(name or "–")
        for column, count in zip(columns, line, strict=True):
            shade = f"background: rgba(var(--heat), {0.75 * count / total:.2f})" if count else ""
            mark = Markup(' class="right"') if name == column else ""
            body += Markup('<td{} style="{}" title="{}">{}</td>').format(
                mark,
                shade,
                f"{row_label} {name}, {column_label} {column}: {100 * count / total:.0f} %",
                f"{count:g}" if count else "",
            )
        body += Markup("</tr>")
    return Markup(
        '<figure>{}<div class="scroll"><table class="matrix"><thead><tr><th>{} ↓ {} →</th>{}</tr></thead>'
        "<tbody>{}</tbody></table></div></figure>"
    ).format(caption(title), row_label, column_label, head, body)


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Markup:
    """Columns that hold figures (numbers, or text that starts with one) stand at the right."""
    cells = [["" if cell is None else cell if isinstance(cell, Markup) else str(cell) for cell in row] for row in rows]
    figures = [
        bool(cells) and all(_is_figure(row[at]) for row in cells if at < len(row)) and any(row[at] for row in cells)
        for at in range(len(head))
    ]

    def marked(tag: str, at: int, content: str) -> Markup:
        return Markup("<{0}{1}>{2}</{0}>").format(tag, Markup(' class="n"') if figures[at] else "", content)

    top = Markup("").join(marked("th", at, name) for at, name in enumerate(head))
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(marked("td", at, cell) for at, cell in enumerate(row[: len(head)]))
        )
        for row in cells
    )
    return Markup('<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>').format(
        top, body
    )


def _is_figure(cell: str) -> bool:
    first = cell.lstrip("+-−±<>≤≥~ ")[:1]
    return not cell or cell == "–" or (first.isdigit() and len(cell) < 32)


def caption(title: str) -> Markup:
    return Markup("<figcaption>{}</figcaption>").format(title) if title else Markup("")
