-- Who is asking, after a key was found good: the client's name and residency class become the only headers that routes
-- look at. A client's own headers of these names were removed before anything else was done. An API key brings
-- `class/name` in a header of its own; a token's claims are in the two headers already, and are never taken apart.
function envoy_on_request(handle)
  local headers = handle:headers()
  local key = headers:get("x-trihull-key")
  if key then
    local class, name = key:match("^([^/]*)/([^/]*)$")
    headers:remove("x-trihull-key")
    headers:replace("x-trihull-client", name or key)
    if class and class ~= "" then
      headers:replace("x-trihull-class", class)
    end
    handle:clearRouteCache()
  end
end
