from pathlib import Path

from trihull_infra.emulators.store import Resource, Store


def resource(resource_id: str, outputs: dict[str, str] | None = None) -> Resource:
    return Resource("aws", "aws:s3/bucket:Bucket", resource_id, "urn", "seed", "now", {"a": [1]}, outputs or {})


def test_resources_and_the_epoch_survive_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.sqlite")
    epoch = store.epoch
    for name in ("b", "a", "c"):
        store.put(resource(name))
    store.put(resource("a", {"new": "1"}))
    store.remove("aws", "aws:s3/bucket:Bucket", "c")
    store.remove("aws", "aws:s3/bucket:Bucket", "never")
    store.close()
    again = Store(tmp_path / "state.sqlite")
    assert again.epoch == epoch
    assert [one.id for one in again.all()] == ["b", "a"]
    assert again.get("aws", "aws:s3/bucket:Bucket", "a") == resource("a", {"new": "1"})
    assert again.get("aws", "aws:s3/bucket:Bucket", "c") is None
    assert again.counts() == {"aws": {"aws:s3/bucket:Bucket": 2}}
    again.close()


def test_another_home_has_another_epoch(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "1"), Store(tmp_path / "2")
    assert one.epoch != two.epoch
    one.close()
    two.close()
