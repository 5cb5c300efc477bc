"""Tables: drawn on a terminal, plain columns elsewhere, so that other programs can read them."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int = 0) -> None:
    """Print rows under headers on standard output.

    Args:
        headers: One a column.
        rows: Text, as many cells as headers.
        numbers: How many of the last columns are flush right.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    first_number = len(headers) - numbers
    if console.is_terminal:
        table = Table(box=SIMPLE_HEAD)
        for column, header in enumerate(headers):
            table.add_column(header, justify="right" if column >= first_number else "left")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    widths = [max(len(cell) for cell in column) for column in zip(headers, *rows, strict=True)]
    for row in (headers, *rows):
        cells = [
            cell.rjust(width) if column >= first_number else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
