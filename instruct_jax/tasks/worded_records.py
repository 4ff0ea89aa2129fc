"""Of records that come in a wording already, those whose wording training may use."""

from typing import Any

import numpy as np

from instruct_jax.errors import InputError
from instruct_jax.tasks.files.records import MalformedRow, Records
from instruct_jax.tasks.instruct import Instruct


class WordedRecords(Records):
    """The records whose own wording is not reserved. Making it reads every record once.

    A broken record stays among them, so that it is told, or counted, when it is drawn.

    Args:
      records: of a split; not without end.
      instruct: the task's wordings; its `template_field` names each record's.

    Raises:
      InputError: every record comes in a reserved wording.
    """

    def __init__(self, records: Records, instruct: Instruct):
        reserved = {template.id for template in instruct.templates if template.reserved}
        places = []
        for place in range(records.size):
            try:
                wording = records[place].get(instruct.template_field)
            except MalformedRow:
                wording = None
            if wording not in reserved:
                places.append(place)
        if not places:
            raise InputError(
                f"every record of dataset {instruct.dataset!r} comes in a wording that is held out; hold out the dataset instead"
            )
        self._records, self._places, self.size = records, np.array(places, np.int64), len(places)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._records[int(self._places[index])]

    def where(self, index: int) -> str:
        return self._records.where(int(self._places[index]))
