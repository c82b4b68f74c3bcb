"""Lists of app role assignments, from either end: of the application, of a user, of a
group.
"""

from collections.abc import Sequence

import orjson

from simulator.directory import Directory
from simulator.graph.paging import Listing
from simulator.graph.query import Options
from simulator.graph.render import assignment_document
from simulator.objects import Assignment


def assignment_listing(
    directory: Directory, held: Sequence[Assignment], options: Options, context: str
) -> Listing[Assignment]:
    """Describe a list of assignments in the order in which they were made."""
    held = sorted(held, key=lambda assignment: assignment.ordinal)
    return Listing(
        keys=[assignment.ordinal for assignment in held],
        items=held,
        properties=lambda assignment: assignment_document(directory, assignment, None),
        render=lambda assignment: orjson.dumps(assignment_document(directory, assignment, options.select)),
        context=context,
    )
