-- Load for wrk: pushes to many groups in turn, or scrapes. Prints one line of JSON at the end.
-- Environment: PUSH_GROUPS, PUSH_FAMILIES, PUSH_CLOSE (1: a connection for each request), PUSH_DELAY (milliseconds
-- between the requests of one connection), SCRAPE (an Accept-Encoding: scrapes instead of pushes).
local groups = tonumber(os.getenv("PUSH_GROUPS") or "1")
local families = tonumber(os.getenv("PUSH_FAMILIES") or "5")
local close = os.getenv("PUSH_CLOSE") == "1"
local pause = tonumber(os.getenv("PUSH_DELAY") or "0")
local scrape = os.getenv("SCRAPE")

-- So many requests are made in advance; beyond, the load generator would need gigabytes.
local PREPARED_MAX = 100000

local text = {}
for f = 1, families do
  text[#text + 1] = string.format(
    "# HELP batch_metric_%d A metric pushed by a batch job.\n# TYPE batch_metric_%d gauge\n"
      .. "batch_metric_%d{phase=\"load\",shard=\"%d\"} %d.5\n", f, f, f, f, f * 17)
end
text = table.concat(text)

local requests, n = {}, 0
local before, after

local function push(g)
  local headers = { ["Content-Type"] = "text/plain; version=0.0.4" }
  if close then headers["Connection"] = "close" end
  return wrk.format("PUT", "/metrics/job/bench/instance/i" .. g, headers, text)
end

function init(args)
  if scrape then
    groups, requests[1] = 1, wrk.format("GET", "/metrics", { ["Accept-Encoding"] = scrape })
  elseif groups > PREPARED_MAX then
    before, after = push("@"):match("^(.-)@(.*)$")
  else
    for g = 1, groups do requests[g] = push(g - 1) end
  end
end

function request()
  n = n % groups + 1
  if before then return before .. (n - 1) .. after end
  return requests[n]
end

if pause > 0 then
  function delay() return pause end
end

function done(summary, latency, requests)
  local e = summary.errors
  print(string.format(
    '{"requests":%d,"seconds":%f,"failed":%d,"p50":%f,"p99":%f,"p99.9":%f,"max":%f}',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000, latency.max / 1000))
end
