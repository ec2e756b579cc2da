-- Script for wrk: posts the lines of a file in turn, and prints wrk's results as JSON.
local bodies = {}
local headers = { ["Content-Type"] = "application/json" }
local number = 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    bodies[#bodies + 1] = line
  end
end

function request()
  number = number % #bodies + 1
  return wrk.format("POST", "/recognize", headers, bodies[number])
end

function done(summary, latency)
  local errors = summary.errors
  io.stderr:write(string.format(
    '{"elapsed_s": %.6f, "num_answers": %d, "num_refused": %d, "num_broken": %d, "p50_ms": %.3f, "p95_ms": %.3f}\n',
    summary.duration / 1e6,
    summary.requests,
    errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3,
    latency:percentile(95) / 1e3
  ))
end
