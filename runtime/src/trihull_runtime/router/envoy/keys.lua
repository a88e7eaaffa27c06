-- Who is asking, by an API key: its SHA-256 (FIPS 180-4) is compared with every digest that is known, in a time that
-- depends on nothing but the length of what was sent and the number of digests. No key stands in Envoy's files.
-- What was found becomes the only headers that routes look at; a client's own headers of these names were removed before
-- anything else was done. The lines before this text define:
--   DIGESTS  eight signed words of each digest, one after the other
--   NAMES, CLASSES  of the client of each digest; a class is "" where there is none
--   TOKENS  whether a request without a key may still be let in by a token
local bit = require("bit")
local band, bnot, bor, bxor, tobit = bit.band, bit.bnot, bit.bor, bit.bxor, bit.tobit
local ror, lshift, rshift, arshift = bit.ror, bit.lshift, bit.rshift, bit.arshift
local byte, char, rep = string.byte, string.char, string.rep

local LONGEST = 512 -- bytes of a key (contract/clients.py); what is longer is not worth the time
local HEADER = "x-api-key"

-- The first 32 bits of the fractions of the cube roots of the first 64 primes.
local ROUND = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}
local word = {} -- of the block at hand; nothing here is ever interrupted
for n = 1, 64 do
  ROUND[n], word[n] = tobit(ROUND[n]), 0
end

local function padded(text)
  local bits = #text * 8
  local length = char(rshift(bits, 24), band(rshift(bits, 16), 255), band(rshift(bits, 8), 255), band(bits, 255))
  return text .. "\128" .. rep("\0", (55 - #text) % 64 + 4) .. length
end

function sha256(text)
  local a0, b0, c0, d0 = tobit(0x6a09e667), tobit(0xbb67ae85), tobit(0x3c6ef372), tobit(0xa54ff53a)
  local e0, f0, g0, h0 = tobit(0x510e527f), tobit(0x9b05688c), tobit(0x1f83d9ab), tobit(0x5be0cd19)
  local data = padded(text)
  for block = 0, #data - 64, 64 do
    for n = 1, 16 do
      local w, x, y, z = byte(data, block + n * 4 - 3, block + n * 4)
      word[n] = bor(lshift(w, 24), lshift(x, 16), lshift(y, 8), z)
    end
    for n = 17, 64 do
      local x, y = word[n - 15], word[n - 2]
      local s0 = bxor(ror(x, 7), ror(x, 18), rshift(x, 3))
      local s1 = bxor(ror(y, 17), ror(y, 19), rshift(y, 10))
      word[n] = tobit(word[n - 16] + s0 + word[n - 7] + s1)
    end
    local a, b, c, d, e, f, g, h = a0, b0, c0, d0, e0, f0, g0, h0
    for n = 1, 64 do
      local s1 = bxor(ror(e, 6), ror(e, 11), ror(e, 25))
      local t1 = tobit(h + s1 + bxor(g, band(e, bxor(f, g))) + ROUND[n] + word[n])
      local s0 = bxor(ror(a, 2), ror(a, 13), ror(a, 22))
      local t2 = s0 + bor(band(a, b), band(c, bor(a, b)))
      h, g, f, e, d, c, b, a = g, f, e, tobit(d + t1), c, b, a, tobit(t1 + t2)
    end
    a0, b0, c0, d0 = tobit(a0 + a), tobit(b0 + b), tobit(c0 + c), tobit(d0 + d)
    e0, f0, g0, h0 = tobit(e0 + e), tobit(f0 + f), tobit(g0 + g), tobit(h0 + h)
  end
  return a0, b0, c0, d0, e0, f0, g0, h0
end

-- The number of the digest that is a key's; 0 for none. Every digest is looked at whole, whatever the others were.
function known(key)
  local a, b, c, d, e, f, g, h = sha256(key)
  local found = 0
  for n = 1, #NAMES do
    local at = n * 8
    local differs = bor(
      bxor(DIGESTS[at - 7], a), bxor(DIGESTS[at - 6], b), bxor(DIGESTS[at - 5], c), bxor(DIGESTS[at - 4], d),
      bxor(DIGESTS[at - 3], e), bxor(DIGESTS[at - 2], f), bxor(DIGESTS[at - 1], g), bxor(DIGESTS[at], h)
    )
    local same = bnot(arshift(bor(differs, tobit(-differs)), 31)) -- all ones where nothing differs, else 0
    found = bor(found, band(same, n))
  end
  return found
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local header, key = HEADER, headers:get(HEADER)
  if (key == nil or key == "") and not TOKENS then -- a bearer is a key where it can be no token
    local said = headers:get("authorization")
    header, key = "authorization", said and said:match("^[Bb]earer +(.+)$")
  end
  if key == nil or key == "" then
    if not TOKENS then
      handle:respond({ [":status"] = "401" }, "a key is asked for: x-api-key")
    end
    return
  end
  local found = #key <= LONGEST and known(key) or 0
  if found == 0 then
    handle:respond({ [":status"] = "401" }, "this key is not known")
    return
  end
  headers:remove(header) -- it never travels on
  headers:replace("x-trihull-client", NAMES[found])
  if CLASSES[found] ~= "" then
    headers:replace("x-trihull-class", CLASSES[found])
  end
  handle:clearRouteCache()
end
