"""Faults in what images and their evidence are handled by: unpacking, registries, tokens, verification."""

from tests.mutation.fault import Area, Fault

ARTIFACTS = "runtime/src/trihull_runtime/artifacts"
UNPACKING = f"{ARTIFACTS}/registry/unpacking.py"
VERIFY = f"{ARTIFACTS}/evidence/verify.py"
TESTS = "tests/unit/runtime/artifacts"

FAULTS = (
    Fault(
        "unpacking-hard-link-to-a-link",
        Area.ARTIFACTS,
        UNPACKING,
        "if not source.is_file() or source.is_symlink():",
        "if not source.is_file():",
        "a hard link to a symbolic link moves that to where it leads out of the root",
        (f"{TESTS}/test_unpacking.py",),
    ),
    Fault(
        "unpacking-set-user-id",
        Area.ARTIFACTS,
        UNPACKING,
        "path.chmod((member.mode & 0o777) | 0o400)",
        "path.chmod((member.mode & 0o7777) | 0o400)",
        "set-user-id bits of an image are put on the machine's disk",
        (f"{TESTS}/test_unpacking.py",),
    ),
    Fault(
        "unpacking-whiteout-of-own-files",
        Area.ARTIFACTS,
        UNPACKING,
        "                    if child not in made:\n",
        "                    if child.exists():\n",
        "an opaque whiteout hides what its own layer puts there",
        (f"{TESTS}/test_unpacking.py",),
    ),
    Fault(
        "unpacking-link-out",
        Area.ARTIFACTS,
        UNPACKING,
        'if not target or not judged or inside == ".." or inside.startswith("../"):',
        "if not target or not judged:",
        "a link of an image leads out of the folder",
        (f"{TESTS}/test_unpacking.py",),
    ),
    Fault(
        "blobs-content-unchecked",
        Area.ARTIFACTS,
        f"{ARTIFACTS}/registry/blobs.py",
        '    if file_digest(path) != descriptor["digest"]:\n',
        '    if size != descriptor["size"]:\n',
        "a layer of the right size and other content is taken",
        (f"{TESTS}/test_layout.py",),
    ),
    Fault(
        "layout-other-platform",
        Area.ARTIFACTS,
        f"{ARTIFACTS}/registry/layout.py",
        "    if found != platform:\n",
        "    if manifest_digest == digest and found != platform:\n",
        "an index that names the wrong platform gives an image that cannot run",
        (f"{TESTS}/test_layout.py",),
    ),
    Fault(
        "evidence-one-gate-of-two",
        Area.ARTIFACTS,
        VERIFY,
        "problems = tuple(dict.fromkeys(text for one in judged for text in one.problems))",
        "problems = tuple(dict.fromkeys(text for one in judged[:1] for text in one.problems))",
        "a second statement that does not hold is not looked at",
        (f"{TESTS}/evidence/test_disagreeing.py",),
    ),
    Fault(
        "evidence-any-gate-agrees",
        Area.ARTIFACTS,
        VERIFY,
        "if any(one != release.evaluation for one in measured):",
        "if all(one != release.evaluation for one in measured):",
        "release.json holds when one of two gates says the same",
        (f"{TESTS}/evidence/test_disagreeing.py",),
    ),
    Fault(
        "evidence-about-another-image",
        Area.ARTIFACTS,
        f"{ARTIFACTS}/evidence/counting.py",
        "about = [one for one in of_kind if one.statement and one.statement.is_about(subject)]",
        "about = [one for one in of_kind if one.statement]",
        "the evidence of another image counts for this one",
        (f"{TESTS}/evidence/test_verify.py",),
    ),
    Fault(
        "evidence-verdict-believed",
        Area.ARTIFACTS,
        f"{ARTIFACTS}/evidence/predicates.py",
        "holds = math.isfinite(one.value) and one.value >= one.minimum",
        "holds = one.passed",
        "a gate is believed without its numbers",
        (f"{TESTS}/evidence/test_verify.py",),
    ),
    Fault(
        "registry-token-without-end",
        Area.ARTIFACTS,
        f"{ARTIFACTS}/registry/credentials/azure.py",
        "    return until if math.isfinite(until) else 0.0",
        "    return until",
        "a token whose end is no number is kept for ever",
        (f"{TESTS}/credentials/test_ends.py",),
    ),
    Fault(
        "registry-token-kept-to-the-end",
        Area.ARTIFACTS,
        f"{ARTIFACTS}/registry/credentials/__init__.py",
        "if kept is None or kept.until <= self.now() + EARLY_S:",
        "if kept is None or kept.until <= self.now():",
        "a token ends in the middle of a transfer",
        (f"{TESTS}/credentials/test_clouds.py",),
    ),
)
