-- Who is asking, after authentication: the client's name and residency class become the only headers that routes look
-- at. A client's own headers of these names were removed before anything else was done. An API key brings
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
  end
  if headers:get("x-trihull-client") then
    handle:clearRouteCache()
  end
  -- W3C Trace Context: a request without a trace begins one, named after the request's id.
  local trace = headers:get("traceparent")
  if not trace then
    local id = (headers:get("x-request-id") or ""):gsub("-", ""):lower()
    if #id == 32 and id:match("^%x+$") then
      trace = "00-" .. id .. "-" .. id:sub(17) .. "-01"
      headers:replace("traceparent", trace)
    end
  end
  local trace_id = trace and trace:match("^%x%x%-(%x+)%-")
  if trace_id then
    handle:streamInfo():dynamicMetadata():set("trihull", "trace_id", trace_id)
  end
end
