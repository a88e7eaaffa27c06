"""Faults in packaging: gates, layers, lock, model.yaml."""

from tests.mutation.fault import Area, Fault

SOURCE = "packaging/src/trihull_packaging"
TESTS = "tests/unit/packaging"

FAULTS = (
    Fault(
        "gate-of-one-metric",
        Area.PACKAGING,
        f"{SOURCE}/steps/evaluate.py",
        "passed = all(gate.passed for gate in gates)",
        "passed = any(gate.passed for gate in gates)",
        "a model that meets one of its minima is released",
        (f"{TESTS}/test_gates.py",),
    ),
    Fault(
        "gate-without-equality",
        Area.PACKAGING,
        f"{SOURCE}/steps/evaluate.py",
        "bool(metrics[metric] >= minimum)",
        "bool(metrics[metric] > minimum)",
        "a model that just meets its minimum is refused",
        (f"{TESTS}/test_gates.py",),
    ),
    Fault(
        "parity-of-no-number",
        Area.PACKAGING,
        f"{SOURCE}/steps/parity.py",
        "step = step if math.isfinite(step) else math.inf",
        "step = step if math.isfinite(step) else 0.0",
        "a converted model that answers NaN passes",
        (f"{TESTS}/test_gates.py",),
    ),
    Fault(
        "parity-without-labels",
        Area.PACKAGING,
        f"{SOURCE}/steps/parity.py",
        "if found.labels or found.probability > tolerance:",
        "if found.probability > tolerance:",
        "a converted model that gives other labels passes",
        (f"{TESTS}/test_gates.py",),
    ),
    Fault(
        "tar-in-the-order-found",
        Area.PACKAGING,
        f"{SOURCE}/oci/tars.py",
        "return [known[name] for name in sorted(known)]",
        "return [known[name] for name in known]",
        "a layer's digest depends on the order in which files were found",
        (f"{TESTS}/test_tars.py",),
    ),
    Fault(
        "layer-of-this-machine",
        Area.PACKAGING,
        f"{SOURCE}/steps/layers.py",
        'if (record and name in INSTALLER_FILES) or name.endswith(".pyi"):',
        'if (record and name == "RECORD") or name.endswith(".pyi"):',
        "the installer's own files, which name this machine's paths, are in the image",
        (f"{TESTS}/test_layers.py",),
    ),
    Fault(
        "lock-without-requirements",
        Area.PACKAGING,
        f"{SOURCE}/lock.py",
        'result[spec.requirements] = _digest((folder / spec.requirements).read_text(encoding="utf-8"))',
        "result[spec.requirements] = _digest(spec.requirements)",
        "a lock counts as fresh after the model's own packages changed",
        (f"{TESTS}/test_lock.py",),
    ),
    Fault(
        "lock-of-another-compressor",
        Area.PACKAGING,
        f"{SOURCE}/lock.py",
        "    if lock.compressor != compressor():\n",
        '    if lock.compressor.partition(" ")[0] != compressor().partition(" ")[0]:\n',
        "another version of the compressor gives other digests than the lock's",
        (f"{TESTS}/test_lock.py",),
    ),
    Fault(
        "requirements-without-hashes",
        Area.PACKAGING,
        f"{SOURCE}/spec.py",
        'elif "==" not in entry.split(";")[0] or "--hash=" not in entry:',
        'elif "==" not in entry.split(";")[0]:',
        "packages are installed whose content nobody pinned",
        (f"{TESTS}/test_spec.py",),
    ),
    Fault(
        "model-yaml-path-outside",
        Area.PACKAGING,
        f"{SOURCE}/spec.py",
        'if path.is_absolute() or ".." in path.parts or not path.name:',
        "if path.is_absolute() or not path.name:",
        "model.yaml names files outside the model's folder",
        (f"{TESTS}/test_spec.py",),
    ),
)
