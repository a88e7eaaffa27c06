from trihull_infra.emulators.plugins.diff import Change, Difference, Kind, compare
from trihull_infra.emulators.plugins.values import UNKNOWN


def test_equal_inputs_have_no_changes() -> None:
    assert compare({"a": [1, {"b": None}]}, {"a": [1, {}]}) == ()


def test_changes_carry_their_path_and_kind() -> None:
    old = {"tags": {"a": "1", "b.c": "2"}, "rules": [{"port": 1}], "gone": 1}
    new = {"tags": {"a": "2", "b.c": "3"}, "rules": [{"port": 1}, {"port": 2}], "new": 1}
    assert {(change.path, change.kind) for change in compare(old, new)} == {
        ("tags.a", Kind.UPDATE),
        ('tags["b.c"]', Kind.UPDATE),
        ("rules[1]", Kind.ADD),
        ("gone", Kind.DELETE),
        ("new", Kind.ADD),
    }


def test_an_unknown_counts_as_changed() -> None:
    assert compare({"a": 1}, {"a": UNKNOWN}) == (Change("a", Kind.UPDATE),)


def test_what_lies_below_a_replacing_path_replaces_and_a_longer_name_does_not() -> None:
    old = {"net": {"id": 1, "size": 1}, "network": 1, "pools": [{"type": "a", "count": 1}]}
    new = {"net": {"id": 2, "size": 1}, "network": 2, "pools": [{"type": "b", "count": 2}]}
    found = {change.path: change.replace for change in compare(old, new, ["net", "pools[*].type"])}
    assert found == {"net.id": True, "network": False, "pools[0].type": True, "pools[0].count": False}


def test_a_difference_replaces_when_any_change_does() -> None:
    assert Difference((Change("a", Kind.ADD), Change("b", Kind.ADD, replace=True))).replaces
    assert not Difference((Change("a", Kind.ADD),)).replaces
