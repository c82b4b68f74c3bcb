"""What newcomers become is worked out when it is asked for, and is then what it would have been at once."""

from store.records import JsonValue
from tests.builders.reconcile.snapshots import holding, person, planned, reading
from worker.reconcile.snapshot import CACHE_SIZE, LazyMapping, materialize


def test_a_deferred_mapping_is_read_as_any_other() -> None:
    """Whoever has a mapping of a plan or a snapshot need not know that it was not there yet."""
    deferred = LazyMapping(lambda name: {"userName": name, "active": True}, "ana")

    assert deferred == {"active": True, "userName": "ana"}
    assert (deferred["userName"], deferred.get("title", "none"), len(deferred)) == ("ana", "none", 2)
    assert {**deferred} == materialize(deferred) == {"userName": "ana", "active": True}
    assert repr(deferred) == repr({"userName": "ana", "active": True})


def test_it_is_worked_out_once_while_it_is_looked_at() -> None:
    """A newcomer has some twenty attributes: they are not mapped twenty times."""
    asked: list[int] = []
    deferred = LazyMapping(_note, asked, 1)

    assert [deferred["a"], deferred["a"], *deferred] == [1, 1, "a"]
    assert asked == [1]


def test_only_a_few_stay_worked_out() -> None:
    """Issue 3, peak memory: those of a whole directory would take more than all the rest of a cycle."""
    asked: list[int] = []
    many = [LazyMapping(_note, asked, number) for number in range(CACHE_SIZE + 1)]

    assert [each["a"] for each in many] == list(range(CACHE_SIZE + 1))
    assert many[0]["a"] == 0
    assert asked == [*range(CACHE_SIZE + 1), 0]


def test_a_plan_does_not_work_out_what_newcomers_become() -> None:
    """A first cycle plans everybody: their values are there when their change is applied, and not before."""
    [change] = planned(reading([person("ana")], ("ana",), {}), holding()).changes
    worked_out = LazyMapping.whole.cache_info().misses

    assert (change.after["userName"], change.after["active"]) == (change.subject.label, True)
    assert LazyMapping.whole.cache_info().misses == worked_out + 1


def _note(asked: list[int], number: int) -> dict[str, JsonValue]:
    asked.append(number)
    return {"a": number}
