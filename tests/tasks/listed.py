"""Records of a test, in memory."""

from instruct_jax.tasks.files.records import MalformedRow, Records


class Listed(Records):
    """Records that are in memory; None for a broken one."""

    def __init__(self, rows):
        self._rows, self.size = rows, len(rows)

    def __getitem__(self, index):
        if self._rows[index] is None:
            raise MalformedRow(f"{self.where(index)}: broken")
        return self._rows[index]

    def where(self, index):
        return f"row {index}"
