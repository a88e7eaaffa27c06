"""`trihull doctor`: what a deploy would stumble over, found before it, and what to do about it.

It reads and changes nothing. `machine.py` looks at this machine, `documents.py` at what lies beside the environment,
`aws.py`, `gcp.py`, `azure.py` and `kubernetes.py` at the clouds: the same functions in the same order (`seam.py`), each
with the SDK of its cloud alone. `local.py` stands in for them where the clouds are emulated.
"""
