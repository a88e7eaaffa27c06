"""Keys as Envoy looks them up: its script, in the LuaJIT that it is written for, beside Python's SHA-256."""

import hashlib
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa import luajit21

from trihull_runtime.contract import Client, Clients, Issuer
from trihull_runtime.router.envoy.admission import key_script

KEYS = [f"key-number-{number:03}-0123456789" for number in range(40)]
CLIENTS = Clients(1, tuple(Client(f"client{n}", (key,), "eu" if n % 2 else None) for n, key in enumerate(KEYS)))
ISSUER = Issuer("https://issuer.example.org", ("trihull",), "{}")


def script(clients: Clients = CLIENTS) -> Any:
    """Return a LuaJIT that has read the script of some clients."""
    lua = luajit21.LuaRuntime(encoding=None, unpack_returned_tuples=True)
    lua.execute(key_script(clients).encode())
    return lua


def digest(lua: Any, data: bytes) -> bytes:
    """Return the script's own SHA-256 of bytes."""
    return struct.pack(">8i", *lua.globals()[b"sha256"](data))


def test_the_digest_is_that_of_the_standards_examples() -> None:
    # NIST, "Secure Hash Standard", examples of SHA-256: one block, two blocks.
    lua = script()
    assert digest(lua, b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    two = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
    assert digest(lua, two).hex() == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"


LUA = script()


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=600))
def test_the_digest_of_any_bytes_is_pythons(data: bytes) -> None:
    assert digest(LUA, data) == hashlib.sha256(data).digest()


def test_every_length_is_padded_as_the_standard_asks() -> None:
    for length in range(513):
        data = bytes(n % 256 for n in range(length))
        assert digest(LUA, data) == hashlib.sha256(data).digest(), length


def test_each_key_is_found_and_nothing_else() -> None:
    known = LUA.globals()[b"known"]
    assert [known(key.encode()) for key in KEYS] == list(range(1, len(KEYS) + 1))
    for key in KEYS:
        assert known(key[:-1].encode()) == known(f"{key}x".encode()) == known(key.upper().encode()) == 0


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64))
def test_no_other_bytes_are_a_key(data: bytes) -> None:
    assert (LUA.globals()[b"known"](data) != 0) == (data.decode("latin-1") in KEYS)


def executed(lua: Any, key: bytes) -> int:
    """Count the instructions that a look-up takes, compiled to no machine code, so that each is seen."""
    count = lua.eval(
        b"function(known, key) local n = 0; jit.off(); jit.flush(); debug.sethook(function() n = n + 1 end, '', 1);"
        b" local found = known(key); debug.sethook(); return n end"
    )
    return int(count(lua.globals()[b"known"], key))


def test_a_look_up_takes_as_many_steps_whatever_is_sent() -> None:
    lua = script()
    length = len(KEYS[0])
    sent = [
        KEYS[0], KEYS[17], KEYS[-1],  # the first, one amid, the last
        KEYS[0][:-1] + "x", "k" + "x" * (length - 1), "x" * length, "\x7f" * length,  # all but one letter, one, none
    ]  # fmt: skip
    steps = {executed(lua, key.encode()) for key in sent}
    assert len(steps) == 1, "one number, found or not"
    assert steps.pop() > 64 * 8, "the rounds were counted"
    assert executed(lua, b"x" * (length + 64)) > executed(lua, b"x" * length), "it depends on the length, which is sent"


def test_digests_that_agree_in_all_but_one_word_are_another_key() -> None:
    words = struct.unpack(">8i", hashlib.sha256(KEYS[0].encode()).digest())
    source = key_script(Clients(1, (Client("one", (KEYS[0],)),)))
    own = ", ".join(str(word) for word in words)
    assert own in source
    for place in range(8):
        for bit in (1, -(1 << 31)):  # the lowest, and the sign
            other = list(words)
            other[place] ^= bit
            lua = luajit21.LuaRuntime(encoding=None)
            lua.execute(source.replace(own, ", ".join(map(str, other))).encode())
            assert lua.globals()[b"known"](KEYS[0].encode()) == 0


def test_no_key_stands_in_what_envoy_is_given() -> None:
    source = key_script(CLIENTS)
    assert not [key for key in KEYS if key in source]
    assert '"client7"' in source


HANDLE = b"""
function(given)
  local kept = {}
  for name, value in pairs(given) do kept[name] = value end
  local headers = {
    get = function(_, name) return kept[name] end,
    remove = function(_, name) kept[name] = nil end,
    replace = function(_, name, value) kept[name] = value end,
  }
  local handle = {
    headers = function() return headers end,
    respond = function(_, head, body) kept[":refused"] = head[":status"] end,
    clearRouteCache = function() kept[":route"] = "again" end,
  }
  envoy_on_request(handle)
  return kept
end
"""


def asked(clients: Clients, **headers: str) -> dict[str, str]:
    """Return the headers after the script was asked, and what it did in those that begin with a colon."""
    lua = script(clients)
    given = lua.table_from({name.replace("_", "-").encode(): value.encode() for name, value in headers.items()})
    found = lua.eval(HANDLE)(given)
    return {name.decode(): value.decode() for name, value in found.items()}


TOKENS = Clients(1, CLIENTS.clients, (ISSUER,))


@pytest.mark.parametrize(
    ("clients", "headers", "then"),
    [
        (CLIENTS, {"x_api_key": KEYS[1]}, {"x-trihull-client": "client1", "x-trihull-class": "eu", ":route": "again"}),
        (CLIENTS, {"x_api_key": KEYS[2]}, {"x-trihull-client": "client2", ":route": "again"}),
        (CLIENTS, {"authorization": f"Bearer {KEYS[2]}"}, {"x-trihull-client": "client2", ":route": "again"}),
        (CLIENTS, {"authorization": f"bearer  {KEYS[2]}"}, {"x-trihull-client": "client2", ":route": "again"}),
        (CLIENTS, {"authorization": KEYS[2]}, {"authorization": KEYS[2], ":refused": "401"}),
        (TOKENS, {"x_api_key": KEYS[2]}, {"x-trihull-client": "client2", ":route": "again"}),
        (TOKENS, {"authorization": "Bearer a.b.c"}, {"authorization": "Bearer a.b.c"}),
        (TOKENS, {}, {}),
        (CLIENTS, {}, {":refused": "401"}),
        (CLIENTS, {"authorization": "Basic eDp5"}, {"authorization": "Basic eDp5", ":refused": "401"}),
        (CLIENTS, {"x_api_key": f"{KEYS[1]},{KEYS[1]}"}, {"x-api-key": f"{KEYS[1]},{KEYS[1]}", ":refused": "401"}),
        (TOKENS, {"x_api_key": "x" * 60_000}, {"x-api-key": "x" * 60_000, ":refused": "401"}),
        (TOKENS, {"x_api_key": "\u00e9" * 20}, {"x-api-key": "\u00e9" * 20, ":refused": "401"}),
    ],
)  # fmt: skip
def test_what_becomes_of_a_request(clients: Clients, headers: dict[str, str], then: dict[str, str]) -> None:
    assert asked(clients, **headers) == then
