"""Faults in what an environment may ask for."""

from tests.mutation.fault import Area, Fault

SPEC = "infra/src/trihull_infra/spec"
SITES = ("tests/unit/infra/test_environment_sites.py",)
ENVIRONMENT = ("tests/unit/infra/test_environment.py",)

FAULTS = (
    Fault(
        "spec-everybody-by-ipv6",
        Area.SPEC,
        f"{SPEC}/base.py",
        "        *ipaddress.collapse_addresses(one for one in parsed if isinstance(one, ipaddress.IPv6Network)),\n",
        "",
        "::/0 opens the API servers to everybody without a word",
        SITES,
    ),
    Fault(
        "spec-everybody-by-halves",
        Area.SPEC,
        f"{SPEC}/base.py",
        "EVERYBODY_PREFIX_MAX: Final = 3",
        "EVERYBODY_PREFIX_MAX: Final = 0",
        "half of the internet, and 2000::/3, count as networks of one's own",
        SITES,
    ),
    Fault(
        "spec-networks-as-written",
        Area.SPEC,
        f"{SPEC}/base.py",
        "        return str(ipaddress.ip_network(value))\n",
        "        ipaddress.ip_network(value)\n        return value\n",
        "a cloud is given a mask or a bare address, which it refuses in the middle of a deploy",
        SITES,
    ),
    Fault(
        "spec-ci-of-any-branch",
        Area.SPEC,
        f"{SPEC}/settings.py",
        'pattern=r"^[!-)+-~]+$",',
        'pattern=r"^[!-~]+$",',
        "a subject with * lets any branch deploy",
        ENVIRONMENT,
    ),
    Fault(
        "spec-pool-of-less-than-its-minimum",
        Area.SPEC,
        f"{SPEC}/base.py",
        "    if value < info.data.get(key, 0):\n",
        "    if value < 0:\n",
        "a pool's maximum lies below its minimum",
        ENVIRONMENT,
    ),
    Fault(
        "spec-spot-share-as-text",
        Area.SPEC,
        f"{SPEC}/pools.py",
        "        if isinstance(value, bool | str):",
        "        if isinstance(value, bool):",
        'a share of "0.5" is taken where a number is asked for',
        ENVIRONMENT,
    ),
)
