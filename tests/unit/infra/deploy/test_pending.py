from typing import Any

from trihull_infra.deploy import pending


def resource(name: str, token: str, **inputs: Any) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:local-aws::p::{token}::{name}", "type": token, "custom": True, "inputs": inputs}


BUCKET = resource("b", "aws:s3/bucket:Bucket", bucket="evidence")
VPC = resource("v", "aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16")


def test_a_create_whose_id_is_its_name_is_put_into_the_state_for_a_refresh_to_judge() -> None:
    state = {"resources": [], "pending_operations": [{"resource": BUCKET, "type": "creating"}]}
    settled, left = pending.adopt(state)
    assert left == []
    assert settled["resources"] == [{**BUCKET, "id": "evidence", "outputs": {"bucket": "evidence"}}]
    assert settled["pending_operations"] == []
    assert state["resources"] == []


def test_a_create_whose_id_nobody_knows_stays_and_is_named() -> None:
    operations = [{"resource": VPC, "type": "creating"}]
    settled, left = pending.adopt({"pending_operations": operations})
    assert left == [VPC["urn"]]
    assert settled["pending_operations"] == operations
    assert VPC["urn"] in pending.advice("prod-aws", "prod", left)
    assert "trihull refresh prod --clear-pending" in pending.advice("prod-aws", "prod", left)


def test_a_create_beside_the_one_it_replaces_is_not_guessed() -> None:
    old = {**BUCKET, "id": "evidence"}
    state = {"resources": [old], "pending_operations": [{"resource": BUCKET, "type": "creating"}]}
    settled, left = pending.adopt(state)
    assert left == [BUCKET["urn"]]
    assert settled["resources"] == [old]


def test_a_pending_delete_is_forgotten_for_the_resource_is_still_in_the_state() -> None:
    old = {**BUCKET, "id": "evidence"}
    settled, left = pending.adopt({"resources": [old], "pending_operations": [{"resource": old, "type": "deleting"}]})
    assert (settled["resources"], settled["pending_operations"], left) == ([old], [], [])


def test_a_state_without_pending_operations_is_left_alone() -> None:
    assert pending.operations({}) == []
    assert pending.operations({"pending_operations": None}) == []
    assert pending.creates({"pending_operations": [{"resource": VPC, "type": "creating"}]}) == [VPC["urn"]]
